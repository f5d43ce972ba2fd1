//! The execution engine of tercel: intermediate representation to DataFusion plans and kernels.
