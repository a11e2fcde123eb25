// Sums of many terms in blocks of 32, 1,024 and 32,768, so that no term goes through many additions.
// A module that uses them names the type of the terms `Value`.

struct LongSum {
    block: Value,
    blocks: Value,
    more: Value,
    all: Value,
    count: u32,
}

fn gl_add_term(sum: ptr<function, LongSum>, term: Value) {
    (*sum).block += term;
    (*sum).count += 1u;
    if (((*sum).count & 31u) == 0u) {
        (*sum).blocks += (*sum).block;
        (*sum).block = Value(0);
        if (((*sum).count & 1023u) == 0u) {
            (*sum).more += (*sum).blocks;
            (*sum).blocks = Value(0);
            if (((*sum).count & 32767u) == 0u) {
                (*sum).all += (*sum).more;
                (*sum).more = Value(0);
            }
        }
    }
}

fn gl_total(sum: ptr<function, LongSum>) -> Value {
    return (*sum).all + ((*sum).more + ((*sum).blocks + (*sum).block));
}
