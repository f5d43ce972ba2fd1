//! Writes event logs, for tests and measurements: header, chunks, templates, records.

use std::collections::HashMap;

const CHUNK: usize = 65536;

/// An element of a template.
#[derive(Clone, Debug)]
pub enum Xml {
    Element { name: String, dependency: Option<u16>, attributes: Vec<(String, Xml)>, children: Vec<Xml> },
    Text(String),
    Slot(u16),
}

pub fn element(name: &str, children: Vec<Xml>) -> Xml {
    Xml::Element { name: name.into(), dependency: None, attributes: Vec::new(), children }
}

pub fn text(text: &str) -> Xml {
    Xml::Text(text.into())
}

impl Xml {
    pub fn with(mut self, name: &str, value: Xml) -> Xml {
        if let Xml::Element { attributes, .. } = &mut self {
            attributes.push((name.into(), value));
        }
        self
    }

    pub fn depends(mut self, slot: u16) -> Xml {
        if let Xml::Element { dependency, .. } = &mut self {
            *dependency = Some(slot);
        }
        self
    }
}

/// The value of an instance.
#[derive(Clone, Debug)]
pub enum Value {
    /// Type and bytes as they are.
    Raw(u8, Vec<u8>),
    Instance(Instance),
}

/// A template, by its index in the log, and its values.
#[derive(Clone, Debug)]
pub struct Instance {
    pub template: usize,
    pub values: Vec<Value>,
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub fn string(text: &str) -> Value {
    Value::Raw(0x01, utf16(text))
}

pub fn null() -> Value {
    Value::Raw(0, Vec::new())
}

struct Chunk {
    data: Vec<u8>,
    names: HashMap<String, u32>,
    templates: HashMap<usize, u32>,
    buckets: [u32; 64],
    first: u64,
    last: u64,
    last_at: u32,
}

impl Chunk {
    fn new(first: u64) -> Chunk {
        Chunk {
            data: vec![0; 512],
            names: HashMap::new(),
            templates: HashMap::new(),
            buckets: [0; 64],
            first,
            last: first,
            last_at: 512,
        }
    }

    fn u16(&mut self, n: u16) {
        self.data.extend(n.to_le_bytes());
    }

    fn u32(&mut self, n: u32) {
        self.data.extend(n.to_le_bytes());
    }

    fn patch(&mut self, at: usize, n: u32) {
        self.data[at..at + 4].copy_from_slice(&n.to_le_bytes());
    }

    fn size_from(&mut self, at: usize) {
        let size = (self.data.len() - at - 4) as u32;
        self.patch(at, size);
    }

    fn name(&mut self, name: &str) {
        if let Some(offset) = self.names.get(name) {
            let offset = *offset;
            return self.u32(offset);
        }
        let offset = self.data.len() as u32 + 4;
        self.u32(offset);
        let hash = name.encode_utf16().fold(0u32, |h, u| h.wrapping_mul(65599).wrapping_add(u.into()));
        let bucket = (hash % 64) as usize;
        self.u32(self.buckets[bucket]);
        self.buckets[bucket] = offset;
        self.u16(hash as u16);
        self.u16(name.encode_utf16().count() as u16);
        self.data.extend(utf16(name));
        self.u16(0);
        self.names.insert(name.into(), offset);
    }

    fn xml(&mut self, xml: &Xml) {
        match xml {
            Xml::Text(text) => {
                self.data.extend([0x05, 0x01]);
                self.u16(text.encode_utf16().count() as u16);
                self.data.extend(utf16(text));
            }
            Xml::Slot(slot) => {
                self.data.push(0x0d);
                self.u16(*slot);
                self.data.push(0x01);
            }
            Xml::Element { name, dependency, attributes, children } => {
                self.data.push(if attributes.is_empty() { 0x01 } else { 0x41 });
                self.u16(dependency.unwrap_or(0xffff));
                let size = self.data.len();
                self.u32(0);
                self.name(name);
                if !attributes.is_empty() {
                    let list = self.data.len();
                    self.u32(0);
                    for (i, (name, value)) in attributes.iter().enumerate() {
                        self.data.push(if i + 1 == attributes.len() { 0x06 } else { 0x46 });
                        self.name(name);
                        self.xml(value);
                    }
                    self.size_from(list);
                }
                if children.is_empty() {
                    self.data.push(0x03);
                } else {
                    self.data.push(0x02);
                    children.iter().for_each(|c| self.xml(c));
                    self.data.push(0x04);
                }
                self.size_from(size);
            }
        }
    }

    fn instance(&mut self, templates: &[Xml], instance: &Instance) {
        self.data.extend([0x0f, 1, 1, 0, 0x0c, 1]);
        self.u32(instance.template as u32 + 100);
        match self.templates.get(&instance.template) {
            Some(offset) => {
                let offset = *offset;
                self.u32(offset);
            }
            None => {
                let offset = self.data.len() as u32 + 4;
                self.u32(offset);
                self.templates.insert(instance.template, offset);
                self.u32(0);
                self.data.extend([instance.template as u8; 16]);
                let size = self.data.len();
                self.u32(0);
                self.data.extend([0x0f, 1, 1, 0]);
                self.xml(&templates[instance.template]);
                self.data.push(0);
                self.size_from(size);
            }
        }
        self.u32(instance.values.len() as u32);
        let table = self.data.len();
        for _ in &instance.values {
            self.u32(0);
        }
        for (i, value) in instance.values.iter().enumerate() {
            let at = self.data.len();
            let ty = match value {
                Value::Raw(ty, bytes) => {
                    self.data.extend(bytes);
                    *ty
                }
                Value::Instance(inner) => {
                    self.instance(templates, inner);
                    0x21
                }
            };
            let size = (self.data.len() - at) as u32;
            self.patch(table + i * 4, size & 0xffff | u32::from(ty) << 16);
        }
        self.data.push(0);
    }

    fn finish(mut self) -> Vec<u8> {
        let free = self.data.len() as u32;
        let mut header = b"ElfChnk\0".to_vec();
        for n in [self.first, self.last, self.first, self.last] {
            header.extend(n.to_le_bytes());
        }
        for n in [128, self.last_at, free, crc32(&self.data[512..])] {
            header.extend(n.to_le_bytes());
        }
        self.data[..header.len()].copy_from_slice(&header);
        for (i, bucket) in self.buckets.iter().enumerate() {
            self.data[128 + i * 4..132 + i * 4].copy_from_slice(&bucket.to_le_bytes());
        }
        let sum = crc32(&[&self.data[..120], &self.data[128..512]].concat());
        self.patch(124, sum);
        self.data.resize(CHUNK, 0);
        self.data
    }
}

/// A log of records that are instances of templates, one minute apart.
pub fn log(templates: &[Xml], records: &[Instance]) -> Vec<u8> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut chunk = Chunk::new(1);
    for (i, record) in records.iter().enumerate() {
        let id = i as u64 + 1;
        let (names, known, buckets) = (chunk.names.clone(), chunk.templates.clone(), chunk.buckets);
        let at = chunk.data.len();
        write_record(&mut chunk, templates, record, id);
        if chunk.data.len() > CHUNK && at > 512 {
            // It does not fit: undone, and written into a chunk of its own.
            chunk.data.truncate(at);
            (chunk.names, chunk.templates, chunk.buckets) = (names, known, buckets);
            chunks.push(std::mem::replace(&mut chunk, Chunk::new(id)).finish());
            write_record(&mut chunk, templates, record, id);
        }
        chunk.last = id;
    }
    chunks.push(chunk.finish());
    let mut out = b"ElfFile\0".to_vec();
    out.extend(0u64.to_le_bytes());
    out.extend((chunks.len() as u64 - 1).to_le_bytes());
    out.extend((records.len() as u64 + 1).to_le_bytes());
    out.extend(128u32.to_le_bytes());
    out.extend([1, 0, 3, 0, 0, 16]);
    out.extend((chunks.len() as u16).to_le_bytes());
    out.resize(124, 0);
    let sum = crc32(&out[..120]);
    out.extend(sum.to_le_bytes());
    out.resize(4096, 0);
    chunks.iter().for_each(|c| out.extend(c));
    out
}

fn write_record(chunk: &mut Chunk, templates: &[Xml], record: &Instance, id: u64) {
    let at = chunk.data.len();
    chunk.data.extend(b"**\0\0\0\0\0\0");
    chunk.data.extend(id.to_le_bytes());
    chunk.data.extend((132_000_000_000_000_000 + id * 600_000_000).to_le_bytes());
    chunk.instance(templates, record);
    let size = (chunk.data.len() - at + 4) as u32;
    chunk.u32(size);
    chunk.patch(at + 4, size);
    chunk.last_at = at as u32;
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

/// The template that Windows uses for the events of all manifests; the data is value 17.
pub fn event(provider: Xml, data: Xml) -> Xml {
    let leaf = |name: &str, slot: u16| element(name, vec![Xml::Slot(slot)]).depends(slot);
    element(
        "Event",
        vec![
            element(
                "System",
                vec![
                    element("Provider", vec![]).with("Name", provider).with("Guid", Xml::Slot(15)),
                    leaf("EventID", 3).with("Qualifiers", Xml::Slot(4)),
                    leaf("Version", 11),
                    leaf("Level", 0),
                    leaf("Task", 2),
                    leaf("Opcode", 1),
                    leaf("Keywords", 5),
                    element("TimeCreated", vec![]).with("SystemTime", Xml::Slot(6)),
                    leaf("EventRecordID", 10),
                    element("Correlation", vec![]).with("ActivityID", Xml::Slot(7)),
                    element("Execution", vec![])
                        .with("ProcessID", Xml::Slot(8))
                        .with("ThreadID", Xml::Slot(9)),
                    leaf("Channel", 16),
                    element("Computer", vec![text("host1.example.org")]),
                    element("Security", vec![]).with("UserID", Xml::Slot(12)),
                ],
            ),
            data,
        ],
    )
    .with("xmlns", text("http://schemas.microsoft.com/win/2004/08/events/event"))
}

/// The values of that template.
pub fn system(provider: &str, channel: &str, event: u16, record: u64, data: Value) -> Vec<Value> {
    vec![
        Value::Raw(0x04, vec![4]),
        Value::Raw(0x04, vec![0]),
        Value::Raw(0x06, event.to_le_bytes().to_vec()),
        Value::Raw(0x06, event.to_le_bytes().to_vec()),
        null(),
        Value::Raw(0x15, 0x8000_0000_0000_0000u64.to_le_bytes().to_vec()),
        Value::Raw(0x11, (132_000_000_000_000_000 + record).to_le_bytes().to_vec()),
        null(),
        Value::Raw(0x08, 4242u32.to_le_bytes().to_vec()),
        Value::Raw(0x08, 17u32.to_le_bytes().to_vec()),
        Value::Raw(0x0a, record.to_le_bytes().to_vec()),
        Value::Raw(0x04, vec![5]),
        Value::Raw(0x13, vec![1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]),
        null(),
        string(provider),
        Value::Raw(0x0f, (0..16).collect()),
        string(channel),
        data,
    ]
}
