//! When to come again, in the headers that all dialects share.

use std::time::Duration;

use super::Dialect;
use super::reader::{Reader, seconds};

const MILLISECONDS: &str = "retry-after-ms";
const RETRY_AFTER: &str = "retry-after";

/// `retry-after-ms`, else Retry-After (RFC 9110, section 10.2.3): the order of the providers' own SDKs.
pub(super) fn read(reader: &mut Reader<'_>, dialect: Dialect) -> Option<Duration> {
    let fine = match dialect {
        Dialect::Plain => None,
        _ => reader.wait(MILLISECONDS, |_, text| Ok(seconds(text)? / 1000)),
    };
    fine.or_else(|| {
        reader.wait(RETRY_AFTER, |reader, text| {
            seconds(text)
                .or_else(|doubt| httpdate::parse_http_date(text).map(|date| reader.until(date)).map_err(|_| doubt))
        })
    })
}
