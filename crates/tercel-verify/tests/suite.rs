//! Every test of this crate's outside in one program: each test program links the whole crate again, and
//! with the query engine in it that is hundreds of megabytes of disk a file.

mod brute;
mod dead;
mod generate;
mod hostile;
mod pairs;
mod paths;
mod sets;
mod support;
