//! paceline-testkit
