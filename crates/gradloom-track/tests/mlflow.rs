//! What is said to an MLflow server: a server of a few lines keeps each request and answers as MLflow does.
//! `check_mlflow.py` does the same with a real server.
#![cfg(feature = "mlflow")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use gradloom_track::{Mlflow, Picture, Tracker};
use serde_json::{Value, json};

type Request = (String, String, Vec<u8>);

/// Answers as many requests as there are answers, each a status and a body.
fn serve(answers: Vec<(u16, Value)>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for (status, answer) in answers {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut head, mut len) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    len = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; len];
            stream.read_exact(&mut body).unwrap();
            let mut words = head.split(' ').map(str::to_owned);
            let request = (words.next().unwrap(), words.next().unwrap(), body);
            sender.send(request).unwrap();
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    (address, receiver)
}

fn run() -> (u16, Value) {
    let info = json!({ "run_id": "r1", "artifact_uri": "mlflow-artifacts:/7/r1/artifacts" });
    (200, json!({ "run": { "info": info } }))
}

fn next(requests: &Receiver<Request>) -> (String, String, Value) {
    let (method, path, body) = requests.recv().unwrap();
    (method, path, serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn a_run_is_told_call_by_call() {
    let ok = || (200, json!({}));
    let missing = (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no" }));
    let made = (200, json!({ "experiment_id": "7" }));
    let (address, requests) = serve(vec![missing, made, run(), ok(), ok(), ok(), ok(), ok(), ok()]);
    let mut mlflow = Mlflow::start(&address, "a & b", "first").unwrap();
    assert_eq!((mlflow.run_id(), mlflow.experiment_id()), ("r1", "7"));
    let (method, path, _) = next(&requests);
    assert_eq!(method, "GET");
    assert_eq!(path, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20%26%20b");
    let (_, path, body) = next(&requests);
    assert_eq!(
        (&path[..], body),
        ("/api/2.0/mlflow/experiments/create", json!({ "name": "a & b" }))
    );
    let (_, path, body) = next(&requests);
    assert_eq!(path, "/api/2.0/mlflow/runs/create");
    assert_eq!((&body["experiment_id"], &body["run_name"]), (&json!("7"), &json!("first")));
    assert!(body["start_time"].as_u64().unwrap() > 1_700_000_000_000);

    let settings = [("rate".to_owned(), 0.5.into()), ("name".to_owned(), "AdamW".into())].into();
    mlflow.hyper_parameters(&settings, &["loss"]).unwrap();
    let (_, path, body) = next(&requests);
    let params = json!([{ "key": "name", "value": "AdamW" }, { "key": "rate", "value": "0.5" }]);
    assert_eq!((&path[..], &body["params"]), ("/api/2.0/mlflow/runs/log-batch", &params));

    // The five hundredth number sends all; what is left is sent at the end.
    for step in 0..501 {
        let value = if step == 3 { f64::NAN } else { step as f64 };
        mlflow.scalar("loss", step, value).unwrap();
    }
    let (_, _, body) = next(&requests);
    let metrics = body["metrics"].as_array().unwrap();
    assert_eq!((metrics.len(), &metrics[3]["value"]), (500, &json!("NaN")));
    assert_eq!((&metrics[7]["key"], &metrics[7]["step"]), (&json!("loss"), &json!(7)));

    mlflow.image("in put", 2, &Picture::new(1, 1, 1, vec![9]).unwrap()).unwrap();
    let (method, path, bytes) = requests.recv().unwrap();
    assert_eq!(method, "PUT");
    let folder = "/api/2.0/mlflow-artifacts/artifacts/7/r1/artifacts";
    assert_eq!(path, format!("{folder}/images/in%20put/2.png"));
    assert!(bytes.starts_with(b"\x89PNG"));
    mlflow.text("sample", 2, "a\nb").unwrap();
    assert_eq!(requests.recv().unwrap().2, b"a\nb");
    assert!(mlflow.artifact("../x", b"").unwrap_err().is_invalid());

    mlflow.finish(true).unwrap();
    assert_eq!(next(&requests).2["metrics"].as_array().unwrap().len(), 1);
    let (_, path, body) = next(&requests);
    assert_eq!((&path[..], &body["status"]), ("/api/2.0/mlflow/runs/update", &json!("FINISHED")));
}

#[test]
fn what_was_refused_is_told_and_sent_again() {
    let found = (200, json!({ "experiment": { "experiment_id": "7" } }));
    let refused = (400, json!({ "message": "too long a name" }));
    let (address, requests) = serve(vec![found, run(), refused, (200, json!({}))]);
    let mut mlflow = Mlflow::start(&address, "x", "y").unwrap();
    mlflow.scalar("loss", 1, 2.0).unwrap();
    let error = mlflow.flush().unwrap_err().to_string();
    assert_eq!(error, "mlflow: runs/log-batch: the server said 400: too long a name");
    mlflow.flush().unwrap();
    let bodies: Vec<Value> = (0..4).map(|_| next(&requests).2).collect();
    assert_eq!(bodies[2]["metrics"], bodies[3]["metrics"]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Mlflow::start(&format!("http://127.0.0.1:{port}"), "x", "y").unwrap_err();
    assert!(
        error.is_io() && error.to_string().contains(&format!("GET http://127.0.0.1:{port}/api"))
    );
}
