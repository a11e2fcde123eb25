//! The walk of a row's threads over columns that they do not keep: one loop, or a loop over blocks around it,
//! so that no column goes through many additions.

use gradloom_plan::ValueId;
use gradloom_tensor::Result;
use gradloom_tensor::op::Reduction;

use super::literal;
use super::row::Writer;
use super::row_layout::RowLayout;

impl Writer<'_> {
    /// One walk over the columns: what `elements` are, the reductions, and the stores.
    pub(super) fn looping_pass(
        &mut self,
        reductions: &[(ValueId, Reduction, ValueId)],
        stores: &[usize],
        elements: &[ValueId],
    ) -> Result<()> {
        let blocks = self.layout.block < self.layout.turns() && !reductions.is_empty();
        if blocks {
            self.begin_block(reductions);
            self.begin_turn("block", "end_block");
        } else {
            self.begin_turn("first_column", "end_column");
        }
        for &id in elements {
            self.emitter.emit(id)?;
        }
        let RowLayout { lanes, in_fours, .. } = *self.layout;
        // A turn begins inside of the row, and four neighbours end there.
        let always_inside = lanes == 1 || in_fours;
        for lane in 0..lanes {
            let suffix = self.emitter.lane_suffix(lane);
            for &(id, reduction, operand) in reductions {
                let value = self.emitter.name(operand, lane);
                let sum = if blocks { format!("part{id}{suffix}") } else { format!("acc{id}") };
                let dtype = self.emitter.dtype(operand);
                let combined = literal::combine(reduction, dtype, &sum, &value);
                self.emitter.line(match always_inside {
                    true => format!("{sum} = {combined};"),
                    false => format!("if (inside{suffix}) {{ {sum} = {combined}; }}"),
                });
            }
            if !stores.is_empty() && !in_fours {
                self.emitter.line(match always_inside {
                    true => "if (alive) {".to_owned(),
                    false => format!("if (alive && inside{suffix}) {{"),
                });
                self.store_elements(stores, lane);
                self.emitter.line("}");
            }
        }
        if !stores.is_empty() && in_fours {
            self.emitter.line("if (alive) {");
            self.store_fours(stores);
            self.emitter.line("}");
        }
        self.emitter.line("}");
        if blocks {
            self.end_block(reductions);
        }
        Ok(())
    }

    /// The head of the loop over blocks, and the sums of a block: one for each lane.
    fn begin_block(&mut self, reductions: &[(ValueId, Reduction, ValueId)]) {
        let step = self.layout.block * self.layout.threads * self.layout.lanes;
        self.emitter.line(format!(
            "for (var block = first_column; block < end_column; block += {step}u) {{"
        ));
        self.emitter.line(format!("let end_block = min(block + {step}u, end_column);"));
        for &(id, reduction, operand) in reductions {
            let kind = literal::compute_type(self.emitter.dtype(operand));
            let identity = literal::identity(reduction, self.emitter.dtype(id));
            for lane in 0..self.layout.lanes {
                let suffix = self.emitter.lane_suffix(lane);
                self.emitter.line(format!("var part{id}{suffix}: {kind} = {identity};"));
            }
        }
    }

    /// Adds the sums of a block, pairwise, to what was before it.
    fn end_block(&mut self, reductions: &[(ValueId, Reduction, ValueId)]) {
        for &(id, reduction, operand) in reductions {
            let dtype = self.emitter.dtype(operand);
            let mut parts: Vec<String> = (0..self.layout.lanes)
                .map(|lane| format!("part{id}{}", self.emitter.lane_suffix(lane)))
                .collect();
            while parts.len() > 1 {
                let pairs = parts.chunks(2).map(|pair| match pair {
                    [a, b] => literal::combine(reduction, dtype, a, b),
                    _ => pair.concat(),
                });
                parts = pairs.collect();
            }
            let sum = format!("acc{id}");
            let combined = literal::combine(reduction, dtype, &sum, &parts[0]);
            self.emitter.line(format!("{sum} = {combined};"));
        }
        self.emitter.line("}");
    }

    /// The head of the loop over a thread's columns from `begin` to `end`, and where they are.
    fn begin_turn(&mut self, begin: &str, end: &str) {
        let RowLayout { lanes, in_fours, .. } = *self.layout;
        if lanes == 1 {
            self.emitter.line(format!(
                "for (var column = {begin} + lane; column < {end}; column += THREADS) {{"
            ));
            self.emitter.decode_reduced("column", 0);
            return;
        }
        if in_fours {
            self.emitter.line(format!(
                "for (var first_of_four = {begin} + lane * 4u; first_of_four < {end}; \
                 first_of_four += THREADS * 4u) {{"
            ));
            self.four_columns();
            return;
        }
        self.emitter.line(format!(
            "for (var turn = {begin} + lane; turn < {end}; turn += THREADS * {lanes}u) {{"
        ));
        for lane in 0..lanes {
            let suffix = self.emitter.lane_suffix(lane);
            let step = lane * self.layout.threads;
            self.emitter.line(format!("let raw_column{suffix} = turn + {step}u;"));
            self.emitter.line(format!("let inside{suffix} = raw_column{suffix} < {end};"));
            self.emitter
                .line(format!("let column{suffix} = min(raw_column{suffix}, COLUMNS - 1u);"));
            self.emitter.decode_reduced(&format!("column{suffix}"), lane);
        }
    }
}
