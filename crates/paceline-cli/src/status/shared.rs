//! How shared quotas stand, or clearing them.

use anyhow::{Context as _, Result};
use paceline::{LimitKind, LimitView};
use serde_json::{Value, json};

use crate::args::StatusArgs;
use crate::exit::{Exit, Halt};
use crate::screen;
use crate::sharing::{Cleared, Look, Set, SharedName, Sharing, Store, Watch};
use crate::time::millis;
use crate::top;

pub(super) fn run(name: &SharedName, args: &StatusArgs) -> Result<Exit, Halt> {
    let sharing = Sharing::new(name.clone(), args.redis.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let text =
        runtime.block_on(async { if args.reset { reset(&sharing).await } else { look(&sharing, args.json).await } })?;
    screen::print(text).map_err(anyhow::Error::new)?;
    Ok(Exit::Ok)
}

async fn look(sharing: &Sharing, json: bool) -> Result<String> {
    let mut watch = Watch::new(sharing).await?;
    let look = watch.look().await;
    watch.end().await;
    let look = look?;
    Ok(if json { format!("{:#}\n", object(&look)) } else { top::once(&look) })
}

async fn reset(sharing: &Sharing) -> Result<String> {
    Ok(match Store::clear(sharing).await? {
        Cleared::Nothing => format!("nothing was shared as {sharing}, so there is nothing to forget\n"),
        Cleared::Forgotten => format!("nothing is shared as {sharing} any more\n"),
        Cleared::Unused { users } => {
            let users = if users == 1 { "1 process has".into() } else { format!("{users} processes have") };
            format!(
                "{users} {sharing} open (runs, and whoever watches by `paceline top`), so its limits stay, and what is in \
                 flight, too; what was used of them and learnt is forgotten\n"
            )
        }
    })
}

fn object(look: &Look) -> Value {
    json!({
        "shared": look.name.to_string(),
        "members": look.members,
        "sets": look.sets.iter().map(set).collect::<Vec<_>>(),
    })
}

fn set(set: &Set) -> Value {
    let limits = set.limits.iter().map(|(key, view)| (key.to_string(), limit(view)));
    json!({
        "name": &*set.name,
        "limits": limits.collect::<serde_json::Map<_, _>>(),
        "in_use": set.active,
        "waiting": set.waiting,
        "granted": set.granted,
        "paused_ms": set.paused.map(millis),
        "closed": set.closed,
    })
}

fn limit(view: &LimitView) -> Value {
    let LimitView { kind, capacity, used, available, debt } = *view;
    let mut object = json!({"capacity": capacity, "used": used, "available": available, "debt": debt});
    if let LimitKind::Rate(quota) = kind {
        object["amount"] = quota.amount().into();
        object["window_ms"] = millis(quota.period()).into();
        object["guard_ms"] = millis(quota.guard_pad()).into();
    }
    object
}
