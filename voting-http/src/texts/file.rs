//! Reads the file of a language. Its format is [Fluent](https://projectfluent.org/); of Fluent, only texts, variables and
//! plural forms are used, so that each message is a template, or one for each plural category.

use std::collections::{BTreeSet, HashMap};

use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Pattern, PatternElement, Variant, VariantKey},
    parser,
};
use icu_plurals::{PluralCategory, PluralRules};

use super::template::Template;

/// The variable of a count. Only it may decide between plural forms.
pub(super) const NUMBER: &str = "number";

/// The messages of a file, by their names.
pub(super) struct File {
    messages: HashMap<String, Message>,
    faults: Vec<String>,
}

/// A message: a template for each plural category, or one for all.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    forms: Vec<(PluralCategory, Template)>,
    other: Template,
}

impl File {
    /// # Errors
    /// The text is not valid, or has something that is not used here.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let resource = parser::parse(text).map_err(|(_, errors)| format!("{errors:?}"))?;
        let mut messages = HashMap::new();
        for entry in resource.body {
            match entry {
                Entry::Message(message) => {
                    let id = message.id.name.to_owned();
                    let pattern = message.value.ok_or_else(|| format!("{id} has no text"))?;
                    let read = Message::read(&pattern).map_err(|why| format!("{id}: {why}"))?;
                    if messages.insert(id.clone(), read).is_some() {
                        return Err(format!("{id} is there twice"));
                    }
                }
                Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
                Entry::Term(_) | Entry::Junk { .. } => {
                    return Err("only messages and comments are read".to_owned());
                }
            }
        }
        Ok(Self {
            messages,
            faults: Vec::new(),
        })
    }

    /// Takes a text without values. As below, what is wrong with it is told at the end: a function that reads hundreds of
    /// texts would take minutes to compile if each of them could end it.
    #[inline(never)]
    pub(super) fn fixed(&mut self, field: &str, to: &mut String) {
        let mut template = Template::default();
        self.phrase(field, &[], &mut template);
        *to = template.as_str().to_owned();
    }

    /// Takes a text with exactly these values.
    #[inline(never)]
    pub(super) fn phrase(&mut self, field: &str, places: &[&str], to: &mut Template) {
        if let Some(message) = self.take(field, |id, message| message.check_phrase(id, places)) {
            *to = message.other;
        }
    }

    /// Takes a text with a number and these values. It has either one form, or one for each plural category of the language.
    #[inline(never)]
    pub(super) fn counted(
        &mut self,
        field: &str,
        places: &[&str],
        rules: &PluralRules,
        to: &mut Message,
    ) {
        if let Some(message) = self.take(field, |id, message| message.check(id, places, rules)) {
            *to = message;
        }
    }

    /// # Errors
    /// What is wrong with the file: also if it has a message that was not taken.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let mut rest: Vec<_> = self.messages.into_keys().collect();
        rest.sort_unstable();
        let unused = rest.into_iter().map(|id| format!("nothing uses {id}"));
        self.faults.extend(unused);
        match self.faults.as_slice() {
            [] => Ok(()),
            faults => Err(faults.join("\n")),
        }
    }

    /// The message of a field, if it passes the check.
    fn take(
        &mut self,
        field: &str,
        check: impl FnOnce(&str, &Message) -> Result<(), String>,
    ) -> Option<Message> {
        let id = field.replace('_', "-");
        let taken = self.messages.remove(&id);
        let checked = taken
            .ok_or_else(|| format!("there is no message {id}"))
            .and_then(|message| check(&id, &message).map(|()| message));
        checked.map_err(|fault| self.faults.push(fault)).ok()
    }
}

/// The plural categories of whole numbers.
fn used(rules: &PluralRules) -> Vec<PluralCategory> {
    let mut used = Vec::new();
    for number in (0..=1_000_u64).chain([1_000_000, 1_000_001, 1_000_000_000]) {
        let category = rules.category_for(number);
        if !used.contains(&category) {
            used.push(category);
        }
    }
    used
}

fn check_places(
    id: &str,
    template: &Template,
    needed: &[&str],
    allowed: &[&str],
) -> Result<(), String> {
    let there: BTreeSet<_> = template.places().collect();
    if let Some(missing) = needed.iter().find(|name| !there.contains(*name)) {
        return Err(format!("{id} lacks ${missing}: {:?}", template.as_str()));
    }
    match there
        .iter()
        .find(|name| !needed.contains(*name) && !allowed.contains(*name))
    {
        Some(unknown) => Err(format!("{id} has ${unknown}, which has no value")),
        None => Ok(()),
    }
}

impl Message {
    fn read(pattern: &Pattern<&str>) -> Result<Self, String> {
        let select = pattern.elements.iter().find_map(|element| match element {
            PatternElement::Placeable {
                expression: Expression::Select { selector, variants },
            } => Some((selector, variants)),
            _ => None,
        });
        let Some((selector, variants)) = select else {
            return Ok(Self {
                forms: Vec::new(),
                other: template(pattern, None)?,
            });
        };
        if !matches!(selector, InlineExpression::VariableReference { id } if id.name == NUMBER) {
            return Err(format!("only ${NUMBER} may choose a form"));
        }
        let mut message = Self::default();
        for variant in variants {
            let form = template(pattern, Some(variant))?;
            match category(variant)? {
                PluralCategory::Other if variant.default => message.other = form,
                category if !variant.default => message.forms.push((category, form)),
                _ => return Err("the default form must be [other]".to_owned()),
            }
        }
        Ok(message)
    }

    fn check_phrase(&self, id: &str, places: &[&str]) -> Result<(), String> {
        if !self.forms.is_empty() {
            return Err(format!("{id} has no plural forms in other files"));
        }
        check_places(id, &self.other, places, &[])
    }

    fn check(&self, id: &str, places: &[&str], rules: &PluralRules) -> Result<(), String> {
        if self.forms.is_empty() {
            return check_places(id, &self.other, &[places, &[NUMBER]].concat(), &[]);
        }
        let forms = self.forms.iter().map(|(_, form)| form);
        for form in forms.chain([&self.other]) {
            // A form may say its number in words, such as a dual.
            check_places(id, form, places, &[NUMBER])?;
        }
        let has = |category| self.forms.iter().any(|(known, _)| *known == category);
        for category in used(rules) {
            if category != PluralCategory::Other && !has(category) {
                return Err(format!("{id} has no form for {category:?}"));
            }
        }
        Ok(())
    }

    /// The template for numbers of this category.
    pub(super) fn of(&self, category: PluralCategory) -> &Template {
        let form = self.forms.iter().find(|(known, _)| *known == category);
        form.map_or(&self.other, |(_, form)| form)
    }

    /// The templates by the names of their categories, for scripts.
    pub(super) fn forms(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let forms = self
            .forms
            .iter()
            .map(|(category, form)| (name(*category), form.as_str()));
        forms.chain([(name(PluralCategory::Other), self.other.as_str())])
    }
}

/// The text of a pattern; where it has plural forms, with this one.
fn template(pattern: &Pattern<&str>, form: Option<&Variant<&str>>) -> Result<Template, String> {
    let mut template = Template::default();
    write(pattern, form, &mut template)?;
    Ok(template)
}

fn write(
    pattern: &Pattern<&str>,
    form: Option<&Variant<&str>>,
    to: &mut Template,
) -> Result<(), String> {
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { value } if value.contains(['\n', '{', '}']) => {
                return Err(format!("a text is in one line, without braces: {value:?}"));
            }
            PatternElement::TextElement { value } => to.text(value),
            PatternElement::Placeable {
                expression: Expression::Inline(InlineExpression::VariableReference { id }),
            } => to.place(id.name),
            PatternElement::Placeable {
                expression: Expression::Select { .. },
            } => match form {
                Some(form) => write(&form.value, None, to)?,
                None => return Err("there are forms within forms".to_owned()),
            },
            PatternElement::Placeable { .. } => {
                return Err("only texts, variables and plural forms are read".to_owned());
            }
        }
    }
    Ok(())
}

const CATEGORIES: [(PluralCategory, &str); 6] = [
    (PluralCategory::Zero, "zero"),
    (PluralCategory::One, "one"),
    (PluralCategory::Two, "two"),
    (PluralCategory::Few, "few"),
    (PluralCategory::Many, "many"),
    (PluralCategory::Other, "other"),
];

fn name(category: PluralCategory) -> &'static str {
    let found = CATEGORIES.iter().find(|(known, _)| *known == category);
    found.map_or("other", |(_, name)| name)
}

fn category(variant: &Variant<&str>) -> Result<PluralCategory, String> {
    let VariantKey::Identifier { name } = variant.key else {
        return Err("a form is for a plural category, not for a number".to_owned());
    };
    let found = CATEGORIES.iter().find(|(_, known)| *known == name);
    found
        .map(|(category, _)| *category)
        .ok_or_else(|| format!("{name} is no plural category"))
}

#[cfg(test)]
mod tests {
    use icu_locale_core::locale;

    use super::*;

    fn counted(text: &str) -> Result<Message, String> {
        let rules = PluralRules::try_new(locale!("ru").into(), Default::default()).unwrap();
        let (mut file, mut message) = (File::read(text)?, Message::default());
        file.counted("votes", &[], &rules, &mut message);
        file.finish().map(|()| message)
    }

    #[test]
    fn a_number_has_a_form_for_each_category_or_one_for_all() {
        assert!(counted("votes = Голосов: { $number }\n").is_ok());
        let three = "votes = { $number ->\n [one] { $number } голос\n [few] { $number } голоса\n";
        let whole =
            format!("{three} [many] {{ $number }} голосов\n *[other] {{ $number }} голоса\n }}\n");
        let message = counted(&whole).unwrap();
        assert_eq!(message.of(PluralCategory::Few).as_str(), "{number} голоса");
        let lacks = format!("{three} *[other] {{ $number }} голоса\n }}\n");
        assert!(counted(&lacks).unwrap_err().contains("Many"));
    }

    #[test]
    fn what_is_not_meant_is_refused() {
        for (text, why) in [
            ("votes = None\n", "lacks $number"),
            ("votes = { $number } of { $all }\n", "$all"),
            ("other = x\n", "no message votes"),
            (
                "votes = { $n ->\n [one] a\n *[other] b\n }\n",
                "only $number",
            ),
            (
                "votes = { $number ->\n [1] a\n *[other] b\n }\n",
                "not for a number",
            ),
            ("votes = { NUMBER($number) }\n", "only texts"),
            ("votes\n", "Expected"),
        ] {
            let refused = counted(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
