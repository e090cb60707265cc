//! What the command says about itself.

use crate::support::{end, paceline};

#[test]
fn help_texts() {
    for (name, args) in [
        ("paceline", &["--help"][..]),
        ("run", &["run", "--help"]),
        ("run_short", &["run", "-h"]),
        ("check", &["check", "-h"]),
        ("mock", &["mock", "--help"]),
        ("presets", &["presets", "--help"]),
        ("report", &["report", "--help"]),
        ("status", &["status", "--help"]),
        ("top", &["top", "--help"]),
    ] {
        let ended = end(&mut paceline(args)).expect(0);
        insta::assert_snapshot!(name, ended.stdout);
    }
}

#[test]
fn nothing_at_all_is_answered_with_help() {
    end(&mut paceline([""; 0])).expect(2).says("Usage: paceline");
}

#[test]
fn completions_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = end(&mut paceline(["completions", shell])).expect(0).stdout;
        assert!(["paceline", "run", "report", "rehearse"].iter().all(|word| script.contains(word)), "{shell}");
    }
    let manual = end(&mut paceline(["man"])).expect(0).stdout;
    assert!(
        manual.contains(".TH paceline 1")
            && manual.contains("paceline\\-run")
            && manual.contains("paceline\\-report")
            && manual.contains("rehearse")
    );
}

/// `paceline presets | head -1`
#[test]
#[cfg(unix)]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = crate::support::begin(&mut paceline(["presets"]));
    drop(child.stdout.take());
    let ended = crate::support::wait(child);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn colour_is_as_asked() {
    let plain = end(&mut paceline(["presets", "nope"])).expect(2).stderr;
    assert!(!plain.contains('\x1b'));
    let coloured = end(&mut paceline(["presets", "nope", "--color", "always"])).expect(2).stderr;
    assert!(coloured.contains("\x1b["));
}
