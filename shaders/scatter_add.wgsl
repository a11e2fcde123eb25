// scatter_add
