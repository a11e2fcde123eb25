// split_sum
