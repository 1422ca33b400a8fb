//! A collector of traces: takes what OTLP brings over HTTP, and keeps the spans.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;

/// A span, and which service made it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub service: String,
    pub span: Span,
}

impl Seen {
    pub fn name(&self) -> &str {
        &self.span.name
    }

    /// What the span says, as texts.
    pub fn attributes(&self) -> HashMap<String, String> {
        texts(&self.span.attributes)
    }

    /// The span as others name it.
    pub fn id(&self) -> (Vec<u8>, Vec<u8>) {
        (self.span.trace_id.clone(), self.span.span_id.clone())
    }

    /// The span that it is a child of.
    pub fn parent(&self) -> (Vec<u8>, Vec<u8>) {
        (self.span.trace_id.clone(), self.span.parent_span_id.clone())
    }

    /// The spans that it is linked with.
    pub fn links(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let links = self.span.links.iter();
        links
            .map(|link| (link.trace_id.clone(), link.span_id.clone()))
            .collect()
    }

    pub fn trace_id(&self) -> String {
        let bytes = self.span.trace_id.iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.clone().and_then(|value| value.value);
        match value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    let attributes = attributes.iter();
    attributes
        .map(|attribute| (attribute.key.clone(), text(attribute)))
        .collect()
}

/// Listens on a free port until the test is over.
pub struct Collector {
    pub url: String,
    spans: Arc<Mutex<Vec<Seen>>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let spans = Arc::<Mutex<Vec<Seen>>>::default();
        let kept = spans.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, kept) = (client.expect("a client"), kept.clone());
                thread::spawn(move || serve(&client, &kept));
            }
        });
        Self { url, spans }
    }

    /// What has come so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.spans.lock().expect("sound").clone()
    }
}

/// Answers one client after the other request, until it goes.
fn serve(client: &TcpStream, kept: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(client);
    while let Some(body) = read_request(&mut reader) {
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("spans");
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.expect("a resource");
            let service = texts(&resource.attributes)["service.name"].clone();
            let spans = of_resource.scope_spans.into_iter();
            let seen = spans.flat_map(|scope| scope.spans).map(|span| Seen {
                service: service.clone(),
                span,
            });
            kept.lock().expect("sound").extend(seen);
        }
        let mut client = client;
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if client.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line.trim(), "POST /v1/traces HTTP/1.1");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if let Some(kind) = line.strip_prefix("content-type:") {
            assert_eq!(kind.trim(), "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
