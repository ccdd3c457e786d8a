"""Many cases, each computed once and kept: resumable, on one machine or on a Dask cluster."""
