"""Class activation maps: nine methods behind one interface, scales with names, masks."""
