//! A message as a terminal shows it.

use crate::chat::{Block, Button, Line, Piece, Reply};
use crate::domain::command;

/// As text. A button is the command that presses it.
pub fn plain(reply: &Reply) -> String {
    let mut text = format!("{}\n", reply.title);
    for block in &reply.blocks {
        match block {
            Block::Line(line) => text += &format!("{}\n", flat(line)),
            Block::Table { header, rows } => text += &table(header, rows),
            Block::Code(code) => code.lines().for_each(|line| text += &format!("    {line}\n")),
        }
    }
    for Button { id, label, .. } in &reply.buttons {
        let pressed = command(["ask", "--press", id]).unwrap_or_default();
        text += &format!("[{label}] {pressed}\n");
    }
    text
}

fn flat(line: &Line) -> String {
    let Line(pieces) = line;
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) | Piece::Strong(text) | Piece::Code(text) => text.clone(),
        Piece::Who(person) => person.to_string(),
        Piece::When(at) => at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Piece::Link { label, url } => format!("{label} ({url})"),
    };
    pieces.iter().map(piece).collect()
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let all = || std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
    let wide = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|column| wide(column).unwrap_or(0)).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    all().map(line).collect()
}
