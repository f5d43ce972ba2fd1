//! The list of columns of a schema, shared until it is changed.

use crate::rel::Column;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Columns in output order. A copy is a reference: every operator of a relation has a schema, most pass
/// that of their input on, and thousands of rules read the same few views. Changing one makes it its own.
#[derive(Clone, Debug, Default)]
pub struct Columns(Arc<Vec<Column>>);

impl Columns {
    /// Whether both are one list in memory, and so surely equal.
    pub fn same(&self, other: &Columns) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Columns {
    fn eq(&self, other: &Columns) -> bool {
        self.same(other) || self.0 == other.0
    }
}

impl Deref for Columns {
    type Target = Vec<Column>;
    fn deref(&self) -> &Vec<Column> {
        &self.0
    }
}

impl DerefMut for Columns {
    fn deref_mut(&mut self) -> &mut Vec<Column> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Column>> for Columns {
    fn from(mut columns: Vec<Column>) -> Columns {
        columns.shrink_to_fit();
        Columns(Arc::new(columns))
    }
}

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Columns {
        Columns::from(columns.into_iter().collect::<Vec<_>>())
    }
}

impl IntoIterator for Columns {
    type Item = Column;
    type IntoIter = std::vec::IntoIter<Column>;
    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a Columns {
    type Item = &'a Column;
    type IntoIter = std::slice::Iter<'a, Column>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Columns {
    type Item = &'a mut Column;
    type IntoIter = std::slice::IterMut<'a, Column>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    #[test]
    fn a_copy_is_shared_until_it_is_changed() {
        let one: Columns = vec![Column::new("a", Type::Long)].into();
        let mut two = one.clone();
        assert!(one.same(&two) && one == two);
        two.push(Column::new("b", Type::Long));
        assert_eq!((one.len(), two.len()), (1, 2));
        assert!(one != two && !one.same(&two));
        let equal: Columns = one.iter().cloned().collect();
        assert!(equal == one && !equal.same(&one));
    }
}
