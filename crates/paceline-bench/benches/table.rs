//! `cargo bench -p paceline-bench`: the table. `-- --json` prints a line a row instead, `-- WORD` measures only what has
//! that word in its name.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if paceline_bench::child() {
        return ExitCode::SUCCESS;
    }
    let mut format = paceline_bench::Format::Table;
    let mut measuring = false;
    let mut filter = String::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => format = paceline_bench::Format::Json,
            // What cargo adds to `cargo bench`, and only there.
            "--bench" => measuring = true,
            option if option.starts_with('-') => {
                eprintln!("unknown option `{option}`; there is only --json");
                return ExitCode::from(2);
            }
            word => filter = word.to_owned(),
        }
    }
    if !measuring {
        eprintln!("nothing is measured here: `cargo bench -p paceline-bench` does");
        return ExitCode::SUCCESS;
    }
    paceline_bench::run(format, &filter);
    ExitCode::SUCCESS
}
