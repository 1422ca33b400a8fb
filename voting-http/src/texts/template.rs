//! A text with places for values, as it is sent to scripts too: `Your vote for {label} is in.`

/// A text with places for values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub(super) fn place(&mut self, name: &str) {
        self.0.push('{');
        self.0.push_str(name);
        self.0.push('}');
    }

    /// The text with its places.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with these values. A value is put in as it is, whatever is in it.
    pub(super) fn fill(&self, values: &[(&str, &str)]) -> String {
        let room = values.iter().map(|(_, value)| value.len()).sum::<usize>();
        let mut filled = String::with_capacity(self.0.len() + room);
        let mut rest = self.0.as_str();
        while let Some((before, place)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = place.split_once('}') else {
                break;
            };
            let value = values.iter().find(|(known, _)| *known == name);
            filled.push_str(value.map_or("", |(_, value)| value));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// The names of its places.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        let parts = self.0.split('{').skip(1);
        parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_in_as_it_is() {
        let mut template = Template::default();
        template.place("label");
        template.text(" is in: ");
        template.place("label");
        template.text(".");
        let filled = template.fill(&[("label", "{label}"), ("other", "x")]);
        assert_eq!(filled, "{label} is in: {label}.");
        assert_eq!(template.places().collect::<Vec<_>>(), ["label", "label"]);
    }
}
