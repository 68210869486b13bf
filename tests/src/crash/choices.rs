//! What the medium may hold after a power loss, one image after the other.

use crate::sim::{Dice, Disk, Version, placed, version};

/// A unit of which more than one version may be there.
struct Dirty {
    at: usize,
    /// Each with what it adds to the image's hash.
    options: Vec<(u64, Version)>,
}

/// One image: the sure versions, but for the dirty units.
pub(super) struct Image<'d> {
    disk: &'d Disk,
    units: usize,
    picked: Vec<(usize, Version)>,
}

impl Image<'_> {
    /// The versions of its units.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        let mut picked = self.picked.iter().peekable();
        self.disk.cells.iter().take(self.units).enumerate().map(move |(at, cell)| {
            picked.next_if(|pick| pick.0 == at).map_or(&cell.sure, |pick| &pick.1)
        })
    }
}

/// Looks at one image: its hash, and a way to make it.
type See<'s, 'd, E> = dyn FnMut(u64, &dyn Fn() -> Image<'d>) -> Result<(), E> + 's;

/// All images of one length.
pub(super) struct Choices<'d> {
    disk: &'d Disk,
    units: usize,
    /// Hash of the units that are not dirty.
    base: u64,
    dirty: Vec<Dirty>,
}

impl<'d> Choices<'d> {
    /// For each length that the file may have.
    pub(super) fn of(disk: &'d Disk) -> impl Iterator<Item = Choices<'d>> {
        let short = (disk.sure < disk.cells.len()).then_some(disk.sure);
        std::iter::once(disk.cells.len()).chain(short).map(|units| Choices::with(disk, units))
    }

    fn with(disk: &'d Disk, units: usize) -> Choices<'d> {
        let mut choices = Choices { disk, units, base: units as u64, dirty: Vec::new() };
        for (at, cell) in disk.cells.iter().take(units).enumerate() {
            let mut options: Vec<(u64, Version)> = Vec::new();
            for version in cell.versions() {
                let sum = placed(at, version.hash);
                if !options.iter().any(|(other, _)| *other == sum) {
                    options.push((sum, version.clone()));
                }
            }
            if options.len() > 1 {
                choices.dirty.push(Dirty { at, options });
            } else {
                choices.base = choices.base.wrapping_add(options[0].0);
            }
        }
        choices
    }

    /// How many there are, torn units apart.
    fn count(&self) -> usize {
        let product = |all: usize, dirty: &Dirty| all.saturating_mul(dirty.options.len());
        self.dirty.iter().fold(1, product)
    }

    fn image(&self, digits: &[usize], torn: &[(usize, Version)]) -> Image<'d> {
        let pick = |(dirty, digit): (&Dirty, &usize)| {
            let torn = torn.iter().find(|torn| torn.0 == dirty.at).map(|torn| torn.1.clone());
            (dirty.at, torn.unwrap_or_else(|| dirty.options[*digit].1.clone()))
        };
        let picked = self.dirty.iter().zip(digits).map(pick).collect();
        Image { disk: self.disk, units: self.units, picked }
    }

    fn hash(&self, digits: &[usize]) -> u64 {
        let sum =
            |sum: u64, (dirty, digit): (&Dirty, &usize)| sum.wrapping_add(dirty.options[*digit].0);
        self.dirty.iter().zip(digits).fold(self.base, sum)
    }

    /// Shows every image where there are at most `most`, else `most` of them; then some with torn
    /// units. `see` is given an image's hash, and a way to make it.
    pub(super) fn each<E>(
        &self,
        most: usize,
        dice: &mut Dice,
        see: &mut See<'_, 'd, E>,
    ) -> Result<(), E> {
        let mut digits = vec![0; self.dirty.len()];
        let count = self.count();
        if count <= most {
            let mut hash = self.hash(&digits);
            for _ in 0..count {
                see(hash, &|| self.image(&digits, &[]))?;
                for (digit, dirty) in digits.iter_mut().zip(&self.dirty) {
                    hash = hash.wrapping_sub(dirty.options[*digit].0);
                    *digit = (*digit + 1) % dirty.options.len();
                    hash = hash.wrapping_add(dirty.options[*digit].0);
                    if *digit > 0 {
                        break;
                    }
                }
            }
        } else {
            for _ in 0..most {
                self.draw(&mut digits, dice);
                see(self.hash(&digits), &|| self.image(&digits, &[]))?;
            }
        }
        for _ in 0..(count / 2).min(most / 8).min(2 * self.dirty.len()) {
            self.draw(&mut digits, dice);
            let torn = self.tear(dice);
            let mut hash = self.hash(&digits);
            for (at, bytes) in &torn {
                let place = self.dirty.iter().position(|dirty| dirty.at == *at);
                let Some(place) = place else { continue };
                hash = hash.wrapping_sub(self.dirty[place].options[digits[place]].0);
                hash = hash.wrapping_add(placed(*at, bytes.hash));
            }
            see(hash, &|| self.image(&digits, &torn))?;
        }
        Ok(())
    }

    /// Most units old, most new, or anything between.
    fn draw(&self, digits: &mut [usize], dice: &mut Dice) {
        let newest = [2, 8, 14][dice.below(3)];
        for (digit, dirty) in digits.iter_mut().zip(&self.dirty) {
            let roll = dice.below(16 * dirty.options.len());
            let last = dirty.options.len() - 1;
            *digit = if roll % 16 < newest { last } else { (roll / 16) % last };
        }
    }

    /// One or two units that hold bytes of two versions, or junk from somewhere on.
    fn tear(&self, dice: &mut Dice) -> Vec<(usize, Version)> {
        let mut torn: Vec<(usize, Version)> = Vec::new();
        for _ in 0..1 + dice.below(2) {
            let dirty = &self.dirty[dice.below(self.dirty.len())];
            if torn.iter().any(|(at, _)| *at == dirty.at) {
                continue;
            }
            let any = |dice: &mut Dice| &dirty.options[dice.below(dirty.options.len())].1;
            let (first, second) = (any(dice), any(dice));
            let mut bytes = first.bytes.clone();
            let cut = dice.below(bytes.len());
            if dice.below(4) == 0 {
                bytes[cut..].iter_mut().for_each(|byte| *byte = dice.roll() as u8);
            } else {
                bytes[cut..].copy_from_slice(&second.bytes[cut..]);
            }
            torn.push((dirty.at, version(&bytes)));
        }
        torn
    }
}
