//! The key that ends it.

use tokio::sync::oneshot;

/// A terminal that tells of each key at once, until this is dropped. Ctrl-C stays what it is.
pub(super) struct Keys {
    quit: Option<oneshot::Receiver<()>>,
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Keys {
    /// Those of the terminal that is typed on, if there is one and they are `wanted`.
    #[cfg(unix)]
    pub(super) fn of(wanted: bool) -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let before = if wanted { tcgetattr(&stdin).ok() } else { None };
        let at_once = before.clone().and_then(|mut modes| {
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            tcsetattr(&stdin, OptionalActions::Now, &modes).ok()
        });
        Self { quit: at_once.map(|()| listen()), before }
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: bool) -> Self {
        Self { quit: None }
    }

    /// Returns when it is pressed. Cancel safe.
    pub(super) async fn quit(&mut self) {
        if let Some(quit) = &mut self.quit {
            if quit.await.is_ok() {
                return;
            }
            self.quit = None;
        }
        std::future::pending().await
    }
}

#[cfg(unix)]
impl Drop for Keys {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Tells once. Its thread ends with the process, as nothing can wake it.
#[cfg(unix)]
fn listen() -> oneshot::Receiver<()> {
    use std::io::Read as _;
    let (send, quit) = oneshot::channel();
    std::thread::spawn(move || {
        if std::io::stdin().lock().bytes().map_while(Result::ok).any(|key| matches!(key, b'q' | b'Q')) {
            let _ = send.send(());
        }
    });
    quit
}
