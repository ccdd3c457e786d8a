"""CT volumes: reading, checking, canonical axial order, slabs, the network's grid."""
