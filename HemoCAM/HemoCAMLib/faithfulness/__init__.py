"""Is a map faithful to its model? Deletion and insertion, ROAD, and the randomisation of the network's weights."""
