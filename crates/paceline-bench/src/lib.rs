//! paceline-bench
