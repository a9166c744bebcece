//! The inputs to begin with, which are files: some hold bytes that are no text.

use std::{fs, io, path::PathBuf};

/// Returns the inputs of a target, in the order of their names.
///
/// # Errors
/// The target has no folder, or a file cannot be read.
pub fn of(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut files = fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    files.into_iter().map(fs::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::ALL;

    #[test]
    fn every_target_has_seeds_and_they_are_small() {
        let all: Vec<_> = ALL.iter().flat_map(|target| of(target.name).expect(target.name)).collect();
        assert!(ALL.iter().all(|target| !of(target.name).unwrap().is_empty()));
        assert!(all.iter().map(Vec::len).sum::<usize>() < 200 << 10);
    }

    #[test]
    fn no_seed_breaks_a_law() {
        for target in &ALL {
            of(target.name).unwrap().iter().for_each(|seed| (target.run)(seed));
        }
    }
}
