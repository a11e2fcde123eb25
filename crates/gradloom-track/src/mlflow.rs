//! [`Mlflow`]: a run on an MLflow server, through its REST interface.

use serde_json::{Value, json};

use crate::clock::seconds;
use crate::http::{Server, percent_encoded};
use crate::{Error, ErrorKind, Picture, Result, Setting, Settings, Tracker};

/// Numbers of one request, at most; the server refuses more than a thousand.
const BATCH: usize = 500;
/// Settings of one request, at most; the server refuses more than a hundred.
const SETTINGS: usize = 100;

/// Logs a run to an MLflow server. Numbers are sent 500 at a time, and by `flush`. MLflow has no histograms,
/// so they are left out; pictures and texts are artifacts of the run.
#[derive(Debug)]
pub struct Mlflow {
    server: Server,
    run: String,
    experiment: String,
    /// Path of the run's artifacts at the server's proxy; `None` if the server keeps them elsewhere.
    artifacts: Option<String>,
    waiting: Vec<Value>,
}

impl Mlflow {
    /// Begins a run of an experiment, which is made if it is not there. The address is as
    /// `http://localhost:5000`.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub fn start(address: &str, experiment: &str, run: &str) -> Result<Self> {
        let server = Server::new(address)?;
        let experiment = experiment_id(&server, experiment)?;
        let request = json!({
            "experiment_id": experiment, "run_name": run, "start_time": milliseconds()
        });
        let made = post(&server, "runs/create", &request)?;
        let info = &made["run"]["info"];
        let run = text(&info["run_id"], "a run without a run_id")?;
        let place = info["artifact_uri"].as_str().unwrap_or_default();
        let artifacts = place.strip_prefix("mlflow-artifacts:").map(|path| {
            // Between two slashes and the path may stand a host.
            let path = match path.strip_prefix("//") {
                Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
                None => path,
            };
            path.trim_matches('/').to_owned()
        });
        Ok(Mlflow { server, run, experiment, artifacts, waiting: Vec::new() })
    }

    /// The run's identifier on the server.
    pub fn run_id(&self) -> &str {
        &self.run
    }

    /// The experiment's identifier on the server.
    pub fn experiment_id(&self) -> &str {
        &self.experiment
    }

    /// Stores a file with the run, as a report or weights. Its name may have folders.
    ///
    /// # Errors
    /// If the server keeps no artifacts itself, or refuses, or a part of the name is `.` or `..` or empty.
    pub fn artifact(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(folder) = &self.artifacts else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "mlflow: {name}: the server keeps artifacts elsewhere; start it with --serve-artifacts"
                ),
            ));
        };
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::invalid(format!("mlflow: {name:?} is no name of an artifact")));
        }
        let whole = format!("{folder}/{name}");
        let path: Vec<String> = whole.split('/').map(percent_encoded).collect();
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/{}", path.join("/"));
        let kind = "application/octet-stream";
        let answer = self.server.request("PUT", &path, kind, bytes)?;
        accepted(answer.status, &answer.body, name).map(|_| ())
    }

    fn send(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let request = json!({ "run_id": self.run, "metrics": self.waiting });
        post(&self.server, "runs/log-batch", &request)?;
        // Only now, so that what could not be sent is sent again.
        self.waiting.clear();
        Ok(())
    }
}

fn experiment_id(server: &Server, name: &str) -> Result<String> {
    let path = format!(
        "/api/2.0/mlflow/experiments/get-by-name?experiment_name={}",
        percent_encoded(name)
    );
    let answer = server.request("GET", &path, "application/json", &[])?;
    if answer.status == 404 {
        let made = post(server, "experiments/create", &json!({ "name": name }))?;
        return text(&made["experiment_id"], "an experiment without an experiment_id");
    }
    let found = accepted(answer.status, &answer.body, "experiments/get-by-name")?;
    text(&found["experiment"]["experiment_id"], "an experiment without an experiment_id")
}

fn post(server: &Server, call: &str, request: &Value) -> Result<Value> {
    let path = format!("/api/2.0/mlflow/{call}");
    let body = request.to_string();
    let answer = server.request("POST", &path, "application/json", body.as_bytes())?;
    accepted(answer.status, &answer.body, call)
}

fn accepted(status: u16, body: &[u8], call: &str) -> Result<Value> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let why = answer["message"].as_str().unwrap_or("no reason given");
    Err(Error::new(ErrorKind::Other, format!("mlflow: {call}: the server said {status}: {why}")))
}

fn text(value: &Value, fault: &str) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Error::new(ErrorKind::Malformed, format!("mlflow: the server told {fault}")))
}

fn milliseconds() -> u64 {
    (seconds() * 1e3) as u64
}

impl Tracker for Mlflow {
    fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        // As the JSON form of protocol buffers writes them.
        let value = match value {
            f64::INFINITY => json!("Infinity"),
            f64::NEG_INFINITY => json!("-Infinity"),
            value if value.is_nan() => json!("NaN"),
            value => json!(value),
        };
        let time = milliseconds();
        self.waiting.push(json!({ "key": tag, "value": value, "timestamp": time, "step": step }));
        if self.waiting.len() >= BATCH { self.send() } else { Ok(()) }
    }

    fn histogram(&mut self, _tag: &str, _step: u64, _values: &[f32]) -> Result<()> {
        Ok(())
    }

    fn image(&mut self, tag: &str, step: u64, picture: &Picture) -> Result<()> {
        self.artifact(&format!("images/{tag}/{step}.png"), &picture.png()?)
    }

    fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        self.artifact(&format!("texts/{tag}/{step}.txt"), text.as_bytes())
    }

    fn hyper_parameters(&mut self, settings: &Settings, _figures: &[&str]) -> Result<()> {
        let pair =
            |(name, value): (&String, &Setting)| json!({ "key": name, "value": value.to_string() });
        let params: Vec<Value> = settings.iter().map(pair).collect();
        for params in params.chunks(SETTINGS) {
            let request = json!({ "run_id": self.run, "params": params });
            post(&self.server, "runs/log-batch", &request)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.send()
    }

    fn finish(&mut self, success: bool) -> Result<()> {
        self.send()?;
        let status = if success { "FINISHED" } else { "FAILED" };
        let request = json!({ "run_id": self.run, "status": status, "end_time": milliseconds() });
        post(&self.server, "runs/update", &request).map(|_| ())
    }
}
