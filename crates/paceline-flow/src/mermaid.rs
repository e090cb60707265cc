//! A flow as a Mermaid diagram.

use std::fmt::Write as _;

use crate::batch_flow::BatchFlow;
use crate::flow::Flow;

impl<S: Sync, P: Send + Sync> Flow<'_, S, P> {
    /// The graph as a [Mermaid](https://mermaid.js.org) flow chart: its nodes with their limits in each slot, nested
    /// flows as boxes, and edges with their actions.
    ///
    /// ```
    /// # use paceline_flow::{Cx, Node, Result};
    /// use paceline_flow::{Graph, Limits};
    ///
    /// # macro_rules! nodes { ($($node:ident)*) => { $(struct $node; impl Node for $node {
    /// #     type Shared = (); type Params = (); type Item = (); type Output = ();
    /// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> { Ok(vec![]) }
    /// #     async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> { Ok(()) }
    /// # })* } }
    /// # nodes!(Fetch Analyze);
    /// let mut graph = Graph::new();
    /// let fetch = graph.add(Fetch, Limits::concurrent(5).per_minute(100));
    /// let analyze = graph.add(Analyze, Limits::none());
    /// graph.on(fetch, "analyze", analyze);
    /// graph.then(analyze, fetch);
    /// assert_eq!(graph.start(fetch)?.mermaid(), "\
    /// flowchart TD
    ///     start((start)) --> n0
    ///     n0[\"Fetch<br/>5 at once, 100 a minute\"]
    ///     n1[\"Analyze\"]
    ///     n0 -- \"analyze\" --> n1
    ///     n1 --> n0
    /// ");
    /// # Ok::<(), paceline_flow::Error>(())
    /// ```
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        line(&mut text, 1, format_args!("start((start)) --> n{}", self.start));
        self.chart(&mut text, "n", 1);
        text
    }

    /// Its nodes and edges; the ids of nodes begin with `prefix`.
    pub(crate) fn chart(&self, text: &mut String, prefix: &str, depth: usize) {
        for (at, node) in self.nodes.iter().enumerate() {
            node.stage.chart(text, &format!("{prefix}{at}"), depth);
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for (action, to) in &node.edges {
                if *action == "default" {
                    line(text, depth, format_args!("{prefix}{at} --> {prefix}{to}"));
                } else {
                    line(text, depth, format_args!("{prefix}{at} -- \"{}\" --> {prefix}{to}", escaped(action.name())));
                }
            }
        }
    }
}

impl<S: Sync, P: Send + Sync> BatchFlow<'_, S, P> {
    /// The graph that it runs, as [`Flow::mermaid`].
    #[must_use]
    pub fn mermaid(&self) -> String {
        self.flow().mermaid()
    }
}

/// A line, indented.
pub(crate) fn line(text: &mut String, depth: usize, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:width$}{what}", "", width = depth * 4);
}

/// What stands in quotes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
