//! paceline-cli
fn main() {}
