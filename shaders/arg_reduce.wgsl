// arg_reduce
