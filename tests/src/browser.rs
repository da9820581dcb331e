//! A headless Chromium, driven over its DevTools protocol by a pair of pipes.
//!
//! <https://chromedevtools.github.io/devtools-protocol/>, with `--remote-debugging-pipe`: JSON, a
//! NUL after each message, from descriptor 3 and to descriptor 4. It takes no port and no
//! WebSocket.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::unix::pipe::{OpenOptions, Receiver, Sender},
    time::timeout,
};

use crate::{LONG, until, variable};

/// A browser with one page; killed when it is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: Sender,
    from: BufReader<Receiver>,
    last: u64,
    session: Option<String>,
    /// What it has told unasked, since it was last looked at.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the Chromium that `FILEYARD_TEST_CHROMIUM` names, with an empty profile.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more on its command line.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(args: &[&str]) -> Self {
        let profile = tempfile::Builder::new().prefix("fileyard-browser").tempdir().unwrap();
        let (to, from) = (profile.path().join("to"), profile.path().join("from"));
        for pipe in [&to, &from] {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        // Opened for both ends here, so that neither open waits for the other side.
        let mut both = OpenOptions::new();
        both.read_write(true);
        let sender = both.open_sender(&to).unwrap();
        let receiver = both.open_receiver(&from).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<\"$PIPE_TO\" 4>\"$PIPE_FROM\"", "sh"]);
        command.env("PIPE_TO", &to).env("PIPE_FROM", &from).env("HOME", profile.path());
        command.arg(variable("FILEYARD_TEST_CHROMIUM"));
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        command.args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--hide-scrollbars",
        ]);
        command.args(args).arg("about:blank");
        let said = std::fs::File::create(profile.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        let mut browser = Self {
            child: command.spawn().expect("Chromium starts"),
            to: sender,
            from: BufReader::new(receiver),
            last: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({})).await;
        browser.call("Log.enable", json!({})).await;
        browser
    }

    /// Calls a method and waits for its result.
    ///
    /// # Panics
    /// When it fails.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Its result, or what Chromium says against it.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).await.expect("Chromium reads");
        loop {
            let mut line = Vec::new();
            timeout(LONG, self.from.read_until(0, &mut line))
                .await
                .unwrap_or_else(|_| panic!("Chromium did not answer {method}"))
                .expect("Chromium writes");
            line.pop();
            let answer: Value = serde_json::from_slice(&line).expect("JSON from Chromium");
            if answer["id"] == self.last {
                let error = answer["error"].clone();
                return if error.is_null() { Ok(answer["result"].clone()) } else { Err(error) };
            }
            if answer["method"].is_string() {
                self.events.push(answer);
            }
        }
    }

    /// Whether pages may run scripts.
    pub async fn scripts(&mut self, on: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !on})).await;
    }

    /// How wide the window is, and whether the person likes it dark.
    pub async fn look(&mut self, width: u32, height: u32, dark: bool) {
        let phone = width < 600;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Waits until it tells of this, and gives what it tells; nothing before it is kept.
    pub async fn hear(&mut self, event: &str) -> Value {
        until(&format!("the browser tells of {event}"), LONG, async || {
            self.eval("1").await;
            let at = self.events.iter().position(|told| told["method"] == event)?;
            self.events.drain(..=at).next_back().map(|mut told| told["params"].take())
        })
        .await
    }

    /// What it has complained of since this was asked last, as it stands in its console.
    pub async fn complaints(&mut self) -> Vec<String> {
        self.eval("1").await;
        let logged = self.events.drain(..).filter(|told| told["method"] == "Log.entryAdded");
        logged
            .filter_map(|told| Some(told["params"]["entry"]["text"].as_str()?.to_owned()))
            .collect()
    }

    /// Goes to an address that may show nothing, such as a download.
    pub async fn follow(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
    }

    /// Types, as a person does, into what `selector` finds.
    pub async fn enter(&mut self, selector: &str, text: &str) {
        self.eval(&format!("document.querySelector({selector:?}).focus()")).await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Forgets every cookie.
    pub async fn forget(&mut self) {
        self.call("Network.clearBrowserCookies", json!({})).await;
    }

    /// Goes to an address and waits until it is all there.
    pub async fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
            .await;
    }

    /// What an expression is in the page; the tool's own, so it works where scripts are off.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true; between two pages there is none to ask.
    ///
    /// # Panics
    /// When it does not become true.
    pub async fn wait_for(&mut self, expression: &str) {
        let guarded =
            format!("(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()");
        let what = format!("{expression} is true in the browser");
        let asked = json!({"expression": guarded, "returnByValue": true});
        until(&what, LONG, async || {
            // One that was asked of a page that went away meanwhile has no answer.
            let answer = self.ask("Runtime.evaluate", asked.clone()).await.ok()?;
            (answer["result"]["value"] == true).then_some(())
        })
        .await;
    }

    /// Chooses files in the file field that `selector` finds.
    pub async fn choose(&mut self, selector: &str, files: &[&Path]) {
        let document = self.call("DOM.getDocument", json!({})).await;
        let asked = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
        let field = self.call("DOM.querySelector", asked).await;
        let chosen = json!({"nodeId": field["nodeId"], "files": files});
        self.call("DOM.setFileInputFiles", chosen).await;
    }

    /// Clicks, with the mouse, what `selector` finds.
    pub async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
        );
        let at = self.eval(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// A picture of the whole page, as a PNG in `file`.
    ///
    /// # Panics
    /// When it can not be written.
    pub async fn picture(&mut self, file: &Path) {
        let asked = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.call("Page.captureScreenshot", asked).await;
        let png = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its helpers go when it does; its profile is theirs until then.
        std::thread::sleep(Duration::from_millis(200));
    }
}
