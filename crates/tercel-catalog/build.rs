//! The pack is part of the program: a file added to it must lead to a new build.

fn main() {
    println!("cargo:rerun-if-changed=../../detections");
}
