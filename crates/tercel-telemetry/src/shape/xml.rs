//! Windows events, and parts of them, as XML text inside a field.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::windows::System;
use crate::value::{Field, RawValue};

/// What an XML text of an event holds; all decoded.
#[derive(Default, Debug)]
pub struct XmlEvent {
    system: Vec<(&'static str, String)>,
    data: Vec<(String, String)>,
}

/// Deepest nesting of elements that is followed.
const MAX_DEPTH: usize = 64;

/// The names of system elements and attributes that count.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("Provider", "Name", "Provider"),
    ("TimeCreated", "SystemTime", "Time"),
    ("Execution", "ProcessID", "ProcessId"),
    ("Execution", "ThreadID", "ThreadId"),
    ("Security", "UserID", "UserId"),
    ("Security", "UserId", "UserId"),
];
const ELEMENTS: [&str; 9] =
    ["EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer"];

impl XmlEvent {
    /// Reads `<Event>…`, `<EventData>…` or something that holds them. What comes before an error in the
    /// text counts; `None` if that is nothing.
    pub fn parse(text: &str) -> Option<XmlEvent> {
        let mut out = XmlEvent::default();
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = false;
        // The open elements: name, `Name` attribute, whether it has had child elements.
        let mut open: Vec<(String, Option<String>, bool)> = Vec::new();
        let mut content = String::new();
        loop {
            match reader.read_event() {
                Ok(Event::Start(e)) => {
                    if open.len() >= MAX_DEPTH {
                        break;
                    }
                    if let Some(parent) = open.last_mut() {
                        parent.2 = true;
                    }
                    out.attributes(&e);
                    content.clear();
                    open.push((e.local_name().as_ref().to_owned(), attribute(&e, "Name"), false));
                }
                Ok(Event::Empty(e)) => {
                    if let Some(parent) = open.last_mut() {
                        parent.2 = true;
                    }
                    out.attributes(&e);
                    // `<Data Name="X"/>` is an empty value.
                    if e.local_name().as_ref() == "Data" {
                        out.data
                            .push((attribute(&e, "Name").unwrap_or_else(|| "Data".into()), String::new()));
                    }
                }
                Ok(Event::Text(t)) => content.push_str(&t.xml10_content()),
                Ok(Event::CData(t)) => content.push_str(&t.xml10_content()),
                Ok(Event::GeneralRef(r)) => match r.resolve_char_ref() {
                    Ok(Some(c)) => content.push(c),
                    _ => {
                        let name = r.xml10_content();
                        match quick_xml::escape::resolve_predefined_entity(&name) {
                            Some(text) => content.push_str(text),
                            // Unknown: as written.
                            None => {
                                content.push('&');
                                content.push_str(&name);
                                content.push(';');
                            }
                        }
                    }
                },
                Ok(Event::End(_)) => {
                    let Some((name, attr, children)) = open.pop() else { continue };
                    let text = std::mem::take(&mut content);
                    let inside = |n: &str| open.iter().any(|o| o.0 == n);
                    if name == "Data" {
                        out.data.push((attr.unwrap_or_else(|| "Data".into()), text));
                    } else if children || name == "EventData" || name == "UserData" {
                        // Containers.
                    } else if let Some(known) = ELEMENTS.iter().find(|n| **n == name)
                        && inside("System")
                    {
                        out.system.push((known, text));
                    } else if inside("UserData") || inside("EventData") {
                        out.data.push((name, text));
                    }
                }
                Ok(Event::Eof) | Err(_) => break,
                Ok(_) => {}
            }
        }
        out.join_unnamed();
        (!out.data.is_empty() || !out.system.is_empty()).then_some(out)
    }

    fn attributes(&mut self, e: &BytesStart<'_>) {
        for (element, name, key) in ATTRIBUTES {
            if e.local_name().as_ref() == element
                && let Some(v) = attribute(e, name)
            {
                self.system.push((key, v));
            }
        }
    }

    /// Several `<Data>` without a name become one JSON array.
    fn join_unnamed(&mut self) {
        if self.data.iter().filter(|(n, _)| n == "Data").count() < 2 {
            return;
        }
        let mut list = String::from("[");
        for (_, text) in self.data.iter().filter(|(n, _)| n == "Data") {
            if list.len() > 1 {
                list.push(',');
            }
            crate::value::push_json_string(text, &mut list);
        }
        list.push(']');
        self.data.retain(|(n, _)| n != "Data");
        self.data.push(("Data".into(), list));
    }

    /// The event data as fields.
    pub fn push_data<'x>(&'x self, fields: &mut Vec<Field<'x>>) {
        fields.extend(self.data.iter().map(|(n, v)| Field::new(n.as_str(), RawValue::Text(v))));
    }

    /// The system part, if there is one.
    pub fn system(&self) -> System<'_> {
        let get = |key: &str| self.system.iter().find(|(k, _)| *k == key).map(|(_, v)| RawValue::Text(v));
        System {
            provider: get("Provider"),
            channel: get("Channel"),
            computer: get("Computer"),
            event_id: get("EventID"),
            record_id: get("EventRecordID"),
            version: get("Version"),
            level: get("Level"),
            task: get("Task"),
            opcode: get("Opcode"),
            keywords: get("Keywords"),
            process_id: get("ProcessId"),
            thread_id: get("ThreadId"),
            user_id: get("UserId"),
            time: get("Time"),
        }
    }
}

fn attribute(e: &BytesStart<'_>, name: &str) -> Option<String> {
    let raw = e.try_get_attribute(name).ok()??;
    let text: &str = raw.value.as_ref();
    Some(match quick_xml::escape::unescape(text) {
        Ok(t) => t.into_owned(),
        Err(_) => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event() {
        let e = XmlEvent::parse(
            "<Event xmlns='x'><System><Provider Name=\"Linux-Sysmon\"/><EventID>3</EventID>\
             <TimeCreated SystemTime=\"2022-05-11T18:10:20Z\"/><Execution ProcessID=\"7\" ThreadID=\"8\"/></System>\
             <EventData><Data Name=\"Image\">C:\\a &amp; b&#33;</Data><Data Name=\"X\"/><Data>1</Data><Data>2</Data></EventData></Event>",
        )
        .unwrap();
        let s = e.system();
        assert_eq!(s.provider, Some(RawValue::Text("Linux-Sysmon")));
        assert_eq!(s.event_id, Some(RawValue::Text("3")));
        assert_eq!(s.process_id, Some(RawValue::Text("7")));
        let mut f = Vec::new();
        e.push_data(&mut f);
        let got: Vec<_> = f.iter().map(|f| (f.name.as_ref(), f.value)).collect();
        assert_eq!(
            got,
            [
                ("Image", RawValue::Text("C:\\a & b!")),
                ("X", RawValue::Text("")),
                ("Data", RawValue::Text("[\"1\",\"2\"]"))
            ]
        );
    }

    #[test]
    fn user_data_and_broken_text() {
        let e = XmlEvent::parse(
            "<Event><UserData><EventXML><User>a</User><Address>b</Address></EventXML></UserData></Event>",
        )
        .unwrap();
        assert_eq!(e.data, [("User".to_owned(), "a".to_owned()), ("Address".to_owned(), "b".to_owned())]);
        let e = XmlEvent::parse("<EventData><Data Name='A'>1</Data><Data Name='B'>2").unwrap();
        assert_eq!(e.data, [("A".to_owned(), "1".to_owned())]);
        assert!(XmlEvent::parse("no xml").is_none());
        assert!(XmlEvent::parse(&"<a>".repeat(100_000)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(<|>|/|&|;|\"|Data|Event|Name=| |[a-z]){0,40}") {
            let _ = XmlEvent::parse(&text);
        }
    }
}
