//! Offset maps: from bytes of a view to bytes of the raw string.
//!
//! A map is a list of pieces in order. A linear piece stands for equal bytes, offset by
//! offset; a unit stands for characters that were read together (a ligature, a letter
//! with its accents), and any byte of it means all of them; a grid is many units of one
//! size in a row (three bytes for every four base64 characters). Plain and encoded
//! stretches of text therefore cost one piece, whatever their length.

use crate::event::RawSpan;

/// A range of bytes of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewSpan {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// One reading of a string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    bytes: Vec<u8>,
    map: OffsetMap,
}

/// From bytes of a view to bytes of the raw string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetMap {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// First byte in the view; the piece ends where the next begins.
    view: usize,
    raw: usize,
    raw_end: usize,
    shape: Shape,
}

/// How the bytes of a piece stand for raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One for one.
    Linear,
    /// Any byte for all raw bytes.
    Unit,
    /// So many bytes for so many raw bytes, again and again; the last unit may be short.
    Grid(Grid),
}

/// The size of a unit in a view and in the raw text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Bytes of the view.
    pub(super) view: usize,
    /// Bytes of the raw text.
    pub(super) raw: usize,
}

impl View {
    /// The bytes that rules read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same as text; views of text are text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Empties the view and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.map.pieces.clear();
    }

    /// Adds bytes that stand, one for one, for the raw bytes from `raw` on.
    pub(super) fn push_linear(&mut self, bytes: &[u8], raw: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = raw + bytes.len();
        match self.map.pieces.last_mut() {
            Some(last) if last.shape == Shape::Linear && last.raw_end == raw => last.raw_end = end,
            _ => self.map.pieces.push(Piece {
                view: self.bytes.len(),
                raw,
                raw_end: end,
                shape: Shape::Linear,
            }),
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds bytes that stand together for the raw bytes of `raw`.
    pub(super) fn push_unit(&mut self, bytes: &[u8], raw: RawSpan) {
        if bytes.is_empty() {
            return;
        }
        self.push_piece(bytes, raw, Shape::Unit);
    }

    /// Adds bytes that stand, unit for unit, for the raw bytes of `raw`. Goes on with the
    /// piece before it where that is a grid of the same size that ends here.
    pub(super) fn push_grid(&mut self, bytes: &[u8], raw: RawSpan, grid: Grid) {
        if bytes.is_empty() {
            return;
        }
        let len = self.bytes.len();
        if let Some(last) = self.map.pieces.last_mut()
            && last.shape == Shape::Grid(grid)
            && last.raw_end == raw.start
            && (len - last.view).is_multiple_of(grid.view)
            && (last.raw_end - last.raw) / grid.raw == (len - last.view) / grid.view
        {
            last.raw_end = raw.end;
            self.bytes.extend_from_slice(bytes);
        } else {
            self.push_piece(bytes, raw, Shape::Grid(grid));
        }
    }

    fn push_piece(&mut self, bytes: &[u8], raw: RawSpan, shape: Shape) {
        let view = self.bytes.len();
        self.map.pieces.push(Piece { view, raw: raw.start, raw_end: raw.end, shape });
        self.bytes.extend_from_slice(bytes);
    }

    /// The raw span of a range of the view, widened to whole characters of `raw`.
    /// An empty range, or one outside the view, has none.
    #[must_use]
    pub fn raw_span(&self, span: ViewSpan, raw: &str) -> Option<RawSpan> {
        if span.start >= span.end || span.end > self.bytes.len() {
            return None;
        }
        let start = self.map.unit_at(span.start)?.start;
        let end = self.map.unit_at(span.end - 1)?.end;
        Some(whole_chars(RawSpan { start, end }, raw))
    }

    /// The range of the view that stands for the raw span, as near as the view knows it.
    #[must_use]
    pub fn view_span(&self, raw: RawSpan) -> ViewSpan {
        let start = self.map.view_at(raw.start, self.bytes.len());
        let end = self.map.view_end(raw.end, self.bytes.len());
        ViewSpan { start, end: end.max(start) }
    }
}

impl OffsetMap {
    /// The raw bytes that one byte of the view stands for.
    fn unit_at(&self, at: usize) -> Option<RawSpan> {
        let index = self.pieces.partition_point(|piece| piece.view <= at).checked_sub(1)?;
        let piece = self.pieces.get(index)?;
        Some(match piece.shape {
            Shape::Linear => {
                let start = piece.raw + (at - piece.view);
                RawSpan { start, end: start + 1 }
            }
            Shape::Unit => RawSpan { start: piece.raw, end: piece.raw_end },
            Shape::Grid(grid) => {
                let start = piece.raw + (at - piece.view) / grid.view * grid.raw;
                RawSpan { start, end: (start + grid.raw).min(piece.raw_end) }
            }
        })
    }

    /// The first byte of the view that stands for raw byte `raw` or one behind it.
    fn view_at(&self, raw: usize, len: usize) -> usize {
        let index = self.pieces.partition_point(|piece| piece.raw_end <= raw);
        match self.pieces.get(index) {
            None => len,
            Some(piece) if raw > piece.raw => match piece.shape {
                Shape::Linear => piece.view + (raw - piece.raw),
                Shape::Unit => piece.view,
                Shape::Grid(grid) => piece.view + (raw - piece.raw) / grid.raw * grid.view,
            },
            Some(piece) => piece.view,
        }
    }

    /// One past the last byte of the view that stands for a raw byte before `raw`.
    fn view_end(&self, raw: usize, len: usize) -> usize {
        let next = self.pieces.partition_point(|piece| piece.raw < raw);
        let Some(piece) = next.checked_sub(1).and_then(|index| self.pieces.get(index)) else {
            return 0;
        };
        let end = self.pieces.get(next).map_or(len, |after| after.view);
        if raw >= piece.raw_end {
            return end;
        }
        match piece.shape {
            Shape::Linear => piece.view + (raw - piece.raw),
            Shape::Unit => end,
            Shape::Grid(grid) => {
                end.min(piece.view + (raw - piece.raw).div_ceil(grid.raw) * grid.view)
            }
        }
    }
}

/// The span widened to whole characters of the text.
#[must_use]
pub fn whole_chars(mut span: RawSpan, text: &str) -> RawSpan {
    span.end = span.end.min(text.len());
    span.start = span.start.min(span.end);
    while !text.is_char_boundary(span.start) {
        span.start -= 1;
    }
    while !text.is_char_boundary(span.end) {
        span.end += 1;
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_runs_join_and_units_stand_for_all_their_bytes() {
        let mut view = View::default();
        view.push_linear(b"ab", 0);
        view.push_linear(b"c", 2);
        view.push_unit(b"ffi", RawSpan { start: 6, end: 9 });
        view.push_linear(b"d", 9);
        assert_eq!(view.map.pieces.len(), 3);
        let raw = "abc\u{200B}\u{FB03}d";
        let span = |start, end| view.raw_span(ViewSpan { start, end }, raw);
        assert_eq!(span(1, 3), Some(RawSpan { start: 1, end: 3 }));
        assert_eq!(span(2, 5), Some(RawSpan { start: 2, end: 9 }));
        assert_eq!(span(4, 7), Some(RawSpan { start: 6, end: 10 }));
        assert_eq!(span(4, 4), None);
        assert_eq!(span(6, 8), None);
        assert_eq!(view.view_span(RawSpan { start: 6, end: 10 }), ViewSpan { start: 3, end: 7 });
        assert_eq!(view.view_span(RawSpan { start: 1, end: 2 }), ViewSpan { start: 1, end: 2 });
        assert_eq!(view.view_span(RawSpan { start: 3, end: 6 }), ViewSpan { start: 3, end: 3 });
    }

    #[test]
    fn a_grid_is_one_piece_of_many_units() {
        let grid = Grid { view: 3, raw: 4 };
        let raw = "-YWJjZGVm-Z2g=";
        let mut view = View::default();
        view.push_linear(b"-", 0);
        view.push_grid(b"abc", RawSpan { start: 1, end: 5 }, grid);
        view.push_grid(b"def", RawSpan { start: 5, end: 9 }, grid);
        view.push_linear(b"-", 9);
        view.push_grid(b"gh", RawSpan { start: 10, end: 14 }, grid);
        assert_eq!(view.map.pieces.len(), 4);
        let span = |start, end| view.raw_span(ViewSpan { start, end }, raw).unwrap();
        assert_eq!(span(1, 2), RawSpan { start: 1, end: 5 });
        assert_eq!(span(3, 5), RawSpan { start: 1, end: 9 });
        assert_eq!(span(4, 8), RawSpan { start: 5, end: 10 });
        assert_eq!(span(9, 10), RawSpan { start: 10, end: 14 });
        assert_eq!(view.view_span(RawSpan { start: 5, end: 9 }), ViewSpan { start: 4, end: 7 });
        assert_eq!(view.view_span(RawSpan { start: 6, end: 7 }), ViewSpan { start: 4, end: 7 });
        assert_eq!(view.view_span(RawSpan { start: 10, end: 14 }), ViewSpan { start: 8, end: 10 });
    }
}
