//! Reads the files in `nomad/` as Nomad does: with the defaults of their variables, and dynamic blocks spelt out.
#![allow(unreachable_pub, reason = "a module of a test")]

use std::{
    collections::{BTreeSet, HashMap},
    env, fs,
    process::Command,
};

use hcl::{
    Body, Expression, Structure, Value,
    eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType},
};

/// The jobs, by the names of their files.
pub const JOBS: [&str; 4] = ["stores", "migrate", "voting", "front"];

pub const DRIVERS: [&str; 3] = ["docker", "exec", "raw_exec"];

/// The port that Nomad gives.
pub const PORT: u16 = 20_001;

/// A file in `nomad/`.
pub fn text(name: &str) -> String {
    let nomad = voting_testing::root().join("nomad");
    fs::read_to_string(nomad.join(name)).expect(name)
}

/// A job, as it is for a driver.
pub fn job(name: &str, driver: &str) -> Block {
    job_with(name, driver, &[])
}

/// A job, as it is for a driver, with values of variables.
pub fn job_with(name: &str, driver: &str, given: &[(&str, &str)]) -> Block {
    let body: Body = hcl::parse(&text(&format!("{name}.nomad.hcl"))).expect(name);
    let mut context = functions();
    // What Nomad knows at run time only.
    context.declare_var("NOMAD_TASK_DIR", "/local");
    context.declare_var("NOMAD_SECRETS_DIR", "/secrets");
    context.declare_var("NOMAD_PORT_http", PORT.to_string());
    context.declare_var("NOMAD_ADDR_http", format!("127.0.0.1:{PORT}"));
    let node: Value = hcl::value!({ "unique" = { "id" = "a" } });
    context.declare_var("node", node);

    let mut variables = hcl::Map::new();
    let mut locals = Vec::new();
    let mut job = None;
    for structure in body {
        let Structure::Block(block) = structure else {
            panic!("{name}: an attribute at the top");
        };
        match block.identifier() {
            "variable" => {
                let default = attribute(&block.body, "default").expect("a default");
                let default = default.evaluate(&context).expect("a value");
                let label = block.labels()[0].as_str().to_owned();
                assert!(
                    attribute(&block.body, "description").is_some(),
                    "{name}: {label} is not explained"
                );
                variables.insert(label, default);
            }
            "locals" => locals.extend(block.body.attributes().cloned()),
            "job" => job = Some(block),
            other => panic!("{name}: {other}"),
        }
    }
    for (variable, value) in [&[("driver", driver)], given].concat() {
        let before = variables.insert(variable.to_owned(), value.into());
        assert!(before.is_some(), "{name} has no variable {variable}");
    }
    context.declare_var("var", variables);
    // In whatever order they need each other.
    let mut known = hcl::Map::new();
    while !locals.is_empty() {
        let before = locals.len();
        locals.retain(|local| match local.expr.evaluate(&context) {
            Ok(value) => {
                known.insert(local.key.to_string(), value);
                false
            }
            Err(_) => true,
        });
        assert!(locals.len() < before, "{name}: {locals:?}");
        context.declare_var("local", known.clone());
    }
    Block::read(&job.expect("a job"), &context)
}

/// The specification of a volume.
pub fn volume(name: &str) -> Block {
    let body = hcl::parse(&text(&format!("{name}.volume.hcl"))).expect(name);
    let block = hcl::Block::builder("volume").add_structures(body).build();
    Block::read(&block, &Context::new())
}

fn attribute<'a>(body: &'a Body, key: &str) -> Option<&'a Expression> {
    let found = body.attributes().find(|attribute| attribute.key() == key);
    found.map(|attribute| &attribute.expr)
}

/// Those of HCL's functions that the files use.
fn functions() -> Context<'static> {
    fn merge(args: FuncArgs) -> Result<Value, String> {
        let mut merged = hcl::Map::new();
        for value in args.into_values() {
            let Value::Object(object) = value else {
                return Err(format!("{value} is no object"));
            };
            merged.extend(object);
        }
        Ok(merged.into())
    }
    fn replace(args: FuncArgs) -> Result<Value, String> {
        let values = args.into_values();
        let text = |at: usize| values[at].as_str().ok_or("no text");
        Ok(text(0)?.replace(text(1)?, text(2)?).into())
    }
    fn floor(args: FuncArgs) -> Result<Value, String> {
        let values = args.into_values();
        let number = values[0].as_f64().ok_or("no number")?;
        Ok(format!("{:.0}", number.floor()).into())
    }
    fn uuid(_: FuncArgs) -> Result<Value, String> {
        Ok("00000000-0000-0000-0000-000000000000".into())
    }
    let any = ParamType::Any;
    let mut context = Context::new();
    let variadic = FuncDef::builder().variadic_param(any.clone());
    context.declare_func("merge", variadic.build(merge));
    let three = FuncDef::builder().params([any.clone(), any.clone(), any.clone()]);
    context.declare_func("replace", three.build(replace));
    context.declare_func("floor", FuncDef::builder().param(any).build(floor));
    context.declare_func("uuidv4", FuncDef::builder().build(uuid));
    context
}

/// A block whose attributes are values.
#[derive(Debug, Clone)]
pub struct Block {
    kind: String,
    labels: Vec<String>,
    attributes: HashMap<String, Value>,
    blocks: Vec<Block>,
}

impl Block {
    fn read(block: &hcl::Block, context: &Context<'_>) -> Self {
        let labels = block.labels().iter();
        let mut read = Self {
            kind: block.identifier().to_owned(),
            labels: labels.map(|label| label.as_str().to_owned()).collect(),
            attributes: HashMap::new(),
            blocks: Vec::new(),
        };
        for structure in &block.body {
            match structure {
                Structure::Attribute(attribute) => {
                    let value = attribute.expr.evaluate(context);
                    let value = value.unwrap_or_else(|error| panic!("{attribute:?}: {error}"));
                    read.attributes.insert(attribute.key().to_owned(), value);
                }
                Structure::Block(block) if block.identifier() == "dynamic" => {
                    read.blocks.extend(Self::spelt_out(block, context));
                }
                Structure::Block(block) => read.blocks.push(Self::read(block, context)),
            }
        }
        read
    }

    fn spelt_out(block: &hcl::Block, context: &Context<'_>) -> Vec<Self> {
        let kind = block.labels()[0].as_str();
        let each = attribute(&block.body, "for_each").expect("what it is for");
        let each = each.evaluate(context).expect("a list");
        let mut blocks = block.body.blocks();
        let content = blocks.find(|block| block.identifier() == "content");
        let content = content.expect("a content");
        let made = each.as_array().expect("a list").iter().map(|value| {
            let mut context = context.clone();
            let iterator: hcl::Map<_, _> = [("value".to_owned(), value.clone())].into();
            context.declare_var(kind, iterator);
            let mut made = Self::read(content, &context);
            kind.clone_into(&mut made.kind);
            made
        });
        made.collect()
    }

    pub fn label(&self) -> &str {
        &self.labels[0]
    }

    /// The blocks of a kind.
    pub fn all<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }

    /// The one block of a kind.
    pub fn only(&self, kind: &str) -> &Block {
        let mut all = self.all(kind);
        match (all.next(), all.next()) {
            (Some(block), None) => block,
            _ => panic!("not one {kind} in {:?}", self.labels),
        }
    }

    pub fn labelled(&self, kind: &str, label: &str) -> &Block {
        let mut all = self.all(kind);
        all.find(|block| block.label() == label).expect(label)
    }

    /// The template of a task that makes this file.
    pub fn template(&self, destination: &str) -> Option<&Block> {
        let mut all = self.all("template");
        all.find(|block| block.text("destination").as_deref() == Some(destination))
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.attributes.get(key).map(word)
    }

    pub fn number(&self, key: &str) -> Option<i64> {
        let value = self.attributes.get(key)?;
        Some(value.as_i64().expect("a number"))
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        let value = self.attributes.get(key)?;
        Some(value.as_bool().expect("true or false"))
    }

    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        let value = self.attributes.get(key)?;
        let list = value.as_array().expect("a list");
        Some(list.iter().map(word).collect())
    }

    pub fn map(&self, key: &str) -> HashMap<String, String> {
        let value = self.attributes.get(key);
        let items = value.map(|value| value.as_object().expect("an object"));
        let items = items.into_iter().flatten();
        items
            .map(|(key, value)| (key.clone(), word(value)))
            .collect()
    }
}

fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands before and after each place of a text.
pub fn after<'a>(text: &'a str, place: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(place)
        .map(move |(at, _)| (&text[..at], &text[at + place.len()..]))
}

/// The variables that a template reads, and the items of each. What it only waits for is not among them.
pub fn variables_read(template: &str) -> Vec<(String, BTreeSet<String>)> {
    let read = after(template, "nomadVar \"").map(|(_, after)| {
        let (path, after) = after.split_once('"').expect("an end");
        let (inside, _) = after.split_once("{{ end }}").expect("an end");
        let items = self::after(inside, "{{ .").map(|(_, item)| {
            let (item, _) = item.split_once(' ').expect("an end");
            item.to_owned()
        });
        (path.to_owned(), items.collect())
    });
    read.collect()
}

/// The variables that the script puts, and the items of each.
pub fn variables(script: &str) -> HashMap<String, BTreeSet<String>> {
    let put = after(script, "\nput ").map(|(_, after)| {
        let (path, after) = after.split_once(" <<JSON\n").expect("a document");
        let (json, _) = after.split_once("\nJSON").expect("an end");
        let document: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let items = document["Items"].as_object().expect("items");
        // Each is made anew.
        for item in items.values() {
            assert!(item.as_str().is_some_and(|item| item.starts_with('$')));
        }
        (path.to_owned(), items.keys().cloned().collect())
    });
    put.collect()
}

/// The commands of a document by their headings: the blocks of code that are for a shell.
pub fn commands(document: &str) -> HashMap<String, Vec<String>> {
    let sections = after(document, "\n## ").map(|(_, section)| {
        let section = section.split("\n## ").next().expect("a section");
        let (heading, section) = section.split_once('\n').expect("a heading");
        let blocks = after(section, "```sh\n").map(|(_, block)| {
            let (block, _) = block.split_once("```").expect("an end");
            block.to_owned()
        });
        (heading.to_owned(), blocks.collect())
    });
    sections.collect()
}

/// Whether this machine lets this user make the namespaces that `alone.sh` needs; they are expected where
/// `EXPECT_NAMESPACES` is set.
pub fn can_be_alone() -> bool {
    let mut made = Command::new("unshare");
    made.args([
        "--pid",
        "--mount",
        "--ipc",
        "--net",
        "--mount-proc",
        "--fork",
    ]);
    made.args(["--map-current-user", "true"]);
    let can = made.output().is_ok_and(|made| made.status.success());
    let expected = env::var("EXPECT_NAMESPACES").is_ok_and(|value| !value.is_empty());
    assert!(can || !expected, "no namespaces can be made here");
    if !can {
        eprintln!("no namespaces can be made here: not tried");
    }
    can
}
