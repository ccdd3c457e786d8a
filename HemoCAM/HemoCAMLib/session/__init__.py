"""An analysis as a sequence of short steps, and what is kept between analyses of the same volume."""
