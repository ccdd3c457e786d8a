"""Virtual patients: head CT volumes in HU with known hemorrhages, reproducible from a seed."""
