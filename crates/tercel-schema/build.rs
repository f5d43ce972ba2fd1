//! The files of a folder that is built in may change in number, which the compiler alone does not notice.

fn main() {
    println!("cargo::rerun-if-changed=views");
    println!("cargo::rerun-if-changed=schemas");
}
