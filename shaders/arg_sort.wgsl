// arg_sort
