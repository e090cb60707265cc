//! Ready-made limits of flows, by name.
//!
//! They are those of PocketFlow Throttled: habits, nobody's quotas. For the limits of providers see
//! [`paceline::presets`].

use paceline::Aimd;

/// Ready-made limits of a flow.
///
/// ```
/// use paceline_flow::presets;
///
/// let preset = presets::find("DATA_PIPELINE")?;
/// assert_eq!((preset.max_concurrent_flows, preset.max_flows_per_minute), (20, Some(200)));
/// # Ok::<(), presets::UnknownFlowPreset>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FlowPreset {
    /// Its name: lower case, words separated by `-`.
    pub name: &'static str,
    /// What it is for, in a line.
    pub description: &'static str,
    /// Instances at once; where it adapts, the most.
    pub max_concurrent_flows: u64,
    /// Instances started in any minute.
    pub max_flows_per_minute: Option<u64>,
    /// How it adapts, if it does.
    pub adaptive: Option<Adaptive>,
}

/// The figures of a preset that adapts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Adaptive {
    /// Instances at once at first.
    pub initial: u64,
    /// The least.
    pub min: u64,
    /// What a cut leaves.
    pub backoff: f64,
    /// Completed instances before it grows.
    pub threshold: u64,
    /// What it grows by.
    pub recovery: f64,
}

/// How many instances at once.
#[derive(Clone, Debug)]
pub(crate) enum Level {
    Fixed(u64),
    Adaptive(Aimd),
}

impl FlowPreset {
    pub(crate) fn level(&self) -> Level {
        let Some(adaptive) = self.adaptive else { return Level::Fixed(self.max_concurrent_flows) };
        let controller = Aimd::builder()
            .initial_concurrent(adaptive.initial)
            .min_concurrent(adaptive.min)
            .max_concurrent(self.max_concurrent_flows)
            .backoff_factor(adaptive.backoff)
            .recovery_threshold(adaptive.threshold)
            .recovery_factor(adaptive.recovery)
            .build();
        Level::Adaptive(controller.expect("a test builds every preset"))
    }
}

const fn fixed(name: &'static str, at_once: u64, per_minute: Option<u64>, description: &'static str) -> FlowPreset {
    let (max_concurrent_flows, max_flows_per_minute) = (at_once, per_minute);
    FlowPreset { name, description, max_concurrent_flows, max_flows_per_minute, adaptive: None }
}

const fn adaptive(
    name: &'static str,
    [initial, min, max, threshold]: [u64; 4],
    [backoff, recovery]: [f64; 2],
    description: &'static str,
) -> FlowPreset {
    let adaptive = Some(Adaptive { initial, min, backoff, threshold, recovery });
    FlowPreset { name, description, max_concurrent_flows: max, max_flows_per_minute: None, adaptive }
}

#[rustfmt::skip]
const ALL: &[FlowPreset] = &[
    fixed("conservative",      3,  Some(30),  "little, for an unknown service"),
    fixed("moderate",          10, Some(60),  "a middle way"),
    fixed("aggressive",        25, Some(200), "much, where limits are known to be high"),
    fixed("high-throughput",   50, Some(500), "as much as can be, within a rate"),
    fixed("unlimited",         100, None,     "many at once, no rate"),
    fixed("batch-processing",  10, Some(100), "jobs in the background"),
    fixed("data-pipeline",     20, Some(200), "many short instances"),
    fixed("realtime",          5,  None,      "few at once, started at once"),
    fixed("heavy-processing",  5,  Some(20),  "few long instances"),
    adaptive("adaptive-conservative", [5, 2, 15, 20],  [0.5, 1.2], "learns, carefully"),
    adaptive("adaptive-moderate",     [10, 3, 30, 15], [0.5, 1.3], "learns"),
    adaptive("adaptive-aggressive",   [20, 5, 50, 10], [0.6, 1.4], "learns, from a high level"),
];

/// Every preset.
///
/// ```
/// for preset in paceline_flow::presets::all() {
///     println!("{:25} {}", preset.name, preset.description);
/// }
/// ```
#[must_use]
pub fn all() -> &'static [FlowPreset] {
    ALL
}

/// The preset of that name, in any case; `-`, `_`, `.` and white space do not count.
///
/// # Errors
///
/// [`UnknownFlowPreset`] where there is none; its message lists those there are.
pub fn find(name: &str) -> Result<&'static FlowPreset, UnknownFlowPreset> {
    let found = ALL.iter().find(|preset| letters(preset.name).eq(letters(name)));
    found.ok_or_else(|| UnknownFlowPreset { asked: name.to_owned() })
}

/// No flow preset has the name asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown flow preset {asked:?}; known are {}", known())]
pub struct UnknownFlowPreset {
    asked: String,
}

fn known() -> String {
    ALL.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

fn letters(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.') && !c.is_whitespace()).flat_map(char::to_lowercase)
}
