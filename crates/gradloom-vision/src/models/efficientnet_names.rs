//! torchvision's names for EfficientNets' weights under timm's names and under those of `efficientnet_pytorch`.

/// What names depend on.
pub(super) struct Layout {
    /// Whether a stage's blocks begin with an expansion, and their number.
    pub(super) stages: Vec<(bool, usize)>,
    /// With squeeze and excitation.
    pub(super) squeeze: bool,
}

/// torchvision's name for a name of timm or of `efficientnet_pytorch`; none if it is neither's.
pub(super) fn torchvision(layout: &Layout, name: &str) -> Option<String> {
    let last = layout.stages.len() + 1;
    let ends = [
        ("_conv_stem.", "features.0.0.".to_owned()),
        ("_bn0.", "features.0.1.".to_owned()),
        ("_conv_head.", format!("features.{last}.0.")),
        ("_bn1.", format!("features.{last}.1.")),
        ("_fc.", "classifier.1.".to_owned()),
        ("conv_stem.", "features.0.0.".to_owned()),
        ("bn1.", "features.0.1.".to_owned()),
        ("conv_head.", format!("features.{last}.0.")),
        ("bn2.", format!("features.{last}.1.")),
    ];
    for (prefix, new) in ends {
        if let Some(rest) = name.strip_prefix(prefix) {
            return Some(new + rest);
        }
    }
    if let Some(rest) = name.strip_prefix("_blocks.") {
        let (block, rest) = rest.split_once('.')?;
        let (stage, block) = place(layout, block.parse().ok()?)?;
        let (part, rest) = rest.split_once('.')?;
        let part = flat_part(layout, stage, part)?;
        return Some(format!("features.{}.{block}.block.{part}.{rest}", stage + 1));
    }
    if let Some(rest) = name.strip_prefix("blocks.") {
        let mut parts = rest.splitn(3, '.');
        let stage: usize = parts.next()?.parse().ok()?;
        let block: usize = parts.next()?.parse().ok()?;
        let part = timm_part(layout, stage, parts.next()?)?;
        return Some(format!("features.{}.{block}.block.{part}", stage + 1));
    }
    let head = ["weight", "bias"].map(|kind| (format!("classifier.{kind}"), kind));
    let head = head.into_iter().find(|(timm, _)| timm == name);
    head.map(|(_, kind)| format!("classifier.1.{kind}"))
}

/// The stage of a block counted from the first, and its number there.
fn place(layout: &Layout, mut block: usize) -> Option<(usize, usize)> {
    for (index, &(_, blocks)) in layout.stages.iter().enumerate() {
        if block < blocks {
            return Some((index, block));
        }
        block -= blocks;
    }
    None
}

/// Where the depthwise convolution, the squeeze and excitation, and the projection of a stage's blocks are.
fn positions(layout: &Layout, stage: usize) -> Option<[usize; 3]> {
    let depthwise = usize::from(layout.stages.get(stage)?.0);
    Some([depthwise, depthwise + 1, depthwise + 1 + usize::from(layout.squeeze)])
}

fn flat_part(layout: &Layout, stage: usize, part: &str) -> Option<String> {
    let [depthwise, squeeze, project] = positions(layout, stage)?;
    Some(match part {
        "_expand_conv" => "0.0".to_owned(),
        "_bn0" => "0.1".to_owned(),
        "_depthwise_conv" => format!("{depthwise}.0"),
        "_bn1" => format!("{depthwise}.1"),
        "_se_reduce" => format!("{squeeze}.fc1"),
        "_se_expand" => format!("{squeeze}.fc2"),
        "_project_conv" => format!("{project}.0"),
        "_bn2" => format!("{project}.1"),
        _ => return None,
    })
}

fn timm_part(layout: &Layout, stage: usize, part: &str) -> Option<String> {
    let [depthwise, squeeze, project] = positions(layout, stage)?;
    let expands = depthwise == 1;
    let table = if expands {
        [
            ("conv_pw.", "0.0.".to_owned()),
            ("bn1.", "0.1.".to_owned()),
            ("conv_dw.", format!("{depthwise}.0.")),
            ("bn2.", format!("{depthwise}.1.")),
            ("se.conv_reduce.", format!("{squeeze}.fc1.")),
            ("se.conv_expand.", format!("{squeeze}.fc2.")),
            ("conv_pwl.", format!("{project}.0.")),
            ("bn3.", format!("{project}.1.")),
        ]
        .to_vec()
    } else {
        [
            ("conv_dw.", format!("{depthwise}.0.")),
            ("bn1.", format!("{depthwise}.1.")),
            ("se.conv_reduce.", format!("{squeeze}.fc1.")),
            ("se.conv_expand.", format!("{squeeze}.fc2.")),
            ("conv_pw.", format!("{project}.0.")),
            ("bn2.", format!("{project}.1.")),
        ]
        .to_vec()
    };
    table.iter().find_map(|(old, new)| part.strip_prefix(old).map(|rest| format!("{new}{rest}")))
}
