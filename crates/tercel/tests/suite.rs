//! Every test of this crate's outside in one program: each test program links the whole crate again, and
//! with the query engine in it that is hundreds of megabytes of disk a file.

mod bad_input;
mod cli;
mod common;
mod correlation_targets;
mod docs;
mod hunt;
mod pack;
mod prove;
mod seeds;
mod sigma;
mod sql_targets;
mod test_command;
