//! Nodes, their three methods, parameters and transitions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use paceline_flow::{Action, BatchFlow, Cx, Error, Event, Graph, Limits, Node, Result};

/// What `shared` is in PocketFlow's documentation: whatever the nodes put there.
#[derive(Default)]
struct Desk {
    log: Mutex<Vec<String>>,
    documents: Mutex<BTreeMap<u64, String>>,
}

impl Desk {
    fn note(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// `fetch - "analyze" >> analyze`, with `self.params["doc_id"]` and `self.params["chunk_count"]`.
struct Document {
    doc_id: u64,
    chunk_count: u64,
}

struct Fetch;
struct Analyze;

impl Node for Fetch {
    type Shared = Desk;
    type Params = Document;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        let Document { doc_id, chunk_count } = cx.params;
        Ok((0..*chunk_count).map(|chunk| format!("{doc_id}/chunk_{chunk}")).collect())
    }

    async fn exec(&self, _: Cx<'_, Self>, chunk: &String) -> Result<String> {
        Ok(format!("<{chunk}>"))
    }

    async fn post(&self, cx: Cx<'_, Self>, chunks: Vec<String>, texts: Vec<String>) -> Result<Action> {
        assert_eq!(chunks.len(), texts.len(), "prep_res and exec_res_list");
        cx.shared.documents.lock().unwrap().insert(cx.params.doc_id, texts.concat());
        Ok("analyze".into())
    }
}

impl Node for Analyze {
    type Shared = Desk;
    type Params = Document;
    type Item = &'static str;
    type Output = String;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<&'static str>> {
        Ok(vec!["sentiment", "entities", "summary"])
    }

    async fn exec(&self, cx: Cx<'_, Self>, what: &&'static str) -> Result<String> {
        let document = cx.shared.documents.lock().unwrap()[&cx.params.doc_id].clone();
        Ok(format!("{what} of {document}"))
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<&str>, analyses: Vec<String>) -> Result<Action> {
        cx.shared.note(analyses.join(", "));
        Ok("default".into())
    }
}

#[tokio::test(start_paused = true)]
async fn parity_p16_prep_exec_post_params_and_a_named_transition() {
    let mut graph = Graph::new();
    let (fetch, analyze) = (graph.add(Fetch, Limits::concurrent(5)), graph.add(Analyze, Limits::concurrent(2)));
    graph.on(fetch, "analyze", analyze);
    let flow = BatchFlow::over(graph.start(fetch).unwrap()).build().unwrap();
    let desk = Desk::default();
    let documents = (1..=2).map(|doc_id| Document { doc_id, chunk_count: doc_id });
    assert!(flow.run_over(&desk, documents).await.unwrap().is_complete());
    let mut log = desk.log();
    log.sort_unstable();
    let of = |text: &str| format!("sentiment of {text}, entities of {text}, summary of {text}");
    assert_eq!(log, [of("<1/chunk_0>"), of("<2/chunk_0><2/chunk_1>")]);
}

/// A node that notes its name and says what it is told.
struct Say(&'static str, &'static [&'static str], Mutex<usize>);

impl Say {
    fn new(name: &'static str, says: &'static [&'static str]) -> Self {
        Self(name, says, Mutex::default())
    }
}

impl Node for Say {
    type Shared = Desk;
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        cx.shared.note(format!("{} {}", self.0, cx.params));
        Ok(())
    }

    async fn post(&self, _: Cx<'_, Self>, _: Vec<()>, _: Vec<()>) -> Result<Action> {
        let mut at = self.2.lock().unwrap();
        let says = self.1[(*at).min(self.1.len() - 1)];
        *at += 1;
        Ok(says.into())
    }
}

/// `a >> b`, `b - "retry" >> a`, `b - "done" >> c`; `c` says nothing in particular, and there it ends.
#[tokio::test(start_paused = true)]
async fn parity_p16_default_actions_branches_and_loops() {
    let mut graph = Graph::new();
    let a = graph.add_as("a", Say::new("a", &["default"]), Limits::none());
    let b = graph.add_as("b", Say::new("b", &["retry", "done"]), Limits::none());
    let c = graph.add_as("c", Say::new("c", &["default"]), Limits::none());
    graph.then(a, b).on(b, "retry", a).on(b, "done", c);
    let flow = graph.start(a).unwrap();
    let desk = Desk::default();
    assert_eq!(flow.run(&desk, 7).await.unwrap(), "default");
    assert_eq!(desk.log(), ["a 7", "b 7", "a 7", "b 7", "c 7"]);
}

/// PocketFlow warns `Flow ends: 'x' not found in [...]`; of a node without successors any action is the end.
#[tokio::test(start_paused = true)]
async fn parity_p16_an_action_without_an_edge_ends_the_flow_with_a_warning() {
    let graph = |says| {
        let mut graph = Graph::new();
        let a = graph.add_as("a", Say::new("a", says), Limits::none());
        let b = graph.add_as("b", Say::new("b", &["anything"]), Limits::none());
        graph.on(a, "known", b);
        graph.start(a).unwrap()
    };
    let (desk, told) = (Desk::default(), Mutex::new(0));
    let flow = BatchFlow::over(graph(&["unknown"])).on_event(|event| {
        if let Event::NoSuchEdge { node: "a", .. } = event {
            *told.lock().unwrap() += 1;
        }
    });
    let report = flow.build().unwrap().run_over(&desk, [1]).await.unwrap();
    assert_eq!((report.completed, desk.log()), (1, vec!["a 1".to_owned()]));
    let [warning] = &report.warnings[..] else { panic!("{report}") };
    assert_eq!((&*warning.node, warning.action.name(), warning.instances), ("a", "unknown", 1));
    assert_eq!(*told.lock().unwrap(), 1);
    let report = BatchFlow::over(graph(&["known"])).build().unwrap().run_over(&desk, [1]).await.unwrap();
    assert!(report.warnings.is_empty(), "{report}");
}

/// `{**self.params, **bp}`: an instance of a flow within a flow has the parameters of both.
#[tokio::test(start_paused = true)]
async fn parity_p16_parameters_are_merged_into_those_of_each_instance() {
    struct Page;
    impl Node for Page {
        type Shared = Desk;
        type Params = (u64, String);
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
            let (user, page) = cx.params;
            cx.shared.note(format!("{page} of {user}"));
            Ok(())
        }
    }
    let mut pages = Graph::new();
    let page = pages.add(Page, Limits::none());
    let pages = BatchFlow::over(pages.start(page).unwrap()).max_concurrent_flows(1).build().unwrap();
    let mut users = Graph::new();
    let each = users
        .add_batch("pages", pages, |cx| Ok(["profile", "orders"].map(|page| (*cx.params, page.to_owned())).into()));
    let users = BatchFlow::over(users.start(each).unwrap()).max_concurrent_flows(1).build().unwrap();
    let desk = Desk::default();
    assert!(users.run_over(&desk, [1, 2]).await.unwrap().is_complete());
    assert_eq!(desk.log(), ["profile of 1", "orders of 1", "profile of 2", "orders of 2"]);
}

/// What PocketFlow finds out while it runs, or never, is said when the graph is started.
#[test]
fn parity_p16_a_graph_is_checked_when_it_is_built() {
    let say = |name| Say::new(name, &["default"]);
    let mut graph = Graph::new();
    let a = graph.add_as("a", say("a"), Limits::none());
    let b = graph.add_as("b", say("b"), Limits::none());
    graph.then(a, b).then(a, a);
    let twice = graph.start(a).unwrap_err();
    assert!(matches!(&twice, Error::DuplicateEdge { node, .. } if &**node == "a"), "{twice}");

    let mut graph = Graph::new();
    let a = graph.add_as("a", say("a"), Limits::none());
    let _lost = graph.add_as("b", say("b"), Limits::none());
    let lost = graph.start(a).unwrap_err();
    assert!(matches!(&lost, Error::Unreachable { nodes, .. } if nodes.len() == 1), "{lost}");

    let mut graph = Graph::new();
    let a = graph.add_as("a", say("a"), Limits::none());
    graph.then(a, b);
    let foreign = graph.start(a).unwrap_err();
    assert!(matches!(foreign, Error::ForeignNode { .. }), "{foreign}");
}
