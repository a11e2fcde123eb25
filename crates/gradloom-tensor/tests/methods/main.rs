//! What tensor methods promise without any backend: shapes, dtypes, messages, the ops they make, and
//! that long histories are freed.

mod creation;
mod elementwise;
mod history;
mod indices;
mod printing;
mod reduce;
mod refusing;
mod shape_rules;
mod windows;
mod sizes;
