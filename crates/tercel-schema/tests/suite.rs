//! Every test of this crate's outside in one program: each test program links the whole crate again, and
//! with the query engine in it that is hundreds of megabytes of disk a file.

mod fleet;
mod interpreter;
mod seeds;
mod views;
