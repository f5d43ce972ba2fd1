//! Every test of this crate's outside in one program: each test program links the whole crate again, and
//! with the query engine in it that is hundreds of megabytes of disk a file.

mod bounds;
mod correlate_cases;
mod correlate_limits;
mod correlate_oracle;
mod explain_cases;
mod explain_corpus;
mod explain_limits;
mod explain_properties;
mod program;
