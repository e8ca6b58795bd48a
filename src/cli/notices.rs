//! `refward notices`: what people were told.

use super::{Context, output};
use crate::domain::Result;
use crate::ops::notices::{Notice, notices};

#[derive(clap::Args)]
pub(super) struct Args {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<()> {
    let told = notices(&context.catalog().await?, args.limit).await?;
    output::print(context.json, &told, |told| {
        output::table(["time (UTC)", "connection", "notice"], told.iter().map(row), "Nothing to tell yet.")
    })
}

fn row(notice: &Notice) -> [String; 3] {
    [output::time(notice.at), output::or_dash(notice.connection.clone()), notice.text.clone()]
}
