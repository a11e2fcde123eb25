//! What a student learns from a teacher: losses between their outputs, hidden states and attention.
//!
//! The teacher's side has no gradient in any of them.

use gradloom_tensor::{Called, Tensor};

/// `T^2 * KL(softmax(teacher / T) || softmax(student / T))`, the mean over all rows: logits `[.., C]` of equal
/// shapes -> a scalar in f32.
///
/// At a high temperature `T` the student also learns which wrong answers are nearly right; `T^2` keeps the size of
/// the gradient. Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015. PyTorch:
/// `F.kl_div(F.log_softmax(student / T, -1), F.softmax(teacher / T, -1), reduction="batchmean") * T**2` of `[N, C]`.
///
/// ```
/// use gradloom_compress::distil::distillation_loss;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let teacher = Tensor::new([[2.0f32, 0.0]], &device)?;
/// let student = Tensor::new([[0.0f32, 0.0]], &device)?;
/// let same = distillation_loss(&teacher, &teacher, 4.0).item()?;
/// assert!(same.abs() < 1e-6 && distillation_loss(&student, &teacher, 4.0).item()? > 0.1);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If shapes differ, or the temperature is not above zero.
#[track_caller]
pub fn distillation_loss(student: &Tensor, teacher: &Tensor, temperature: f64) -> Tensor {
    let _called = Called::op("distillation_loss");
    check("distillation_loss", student, teacher);
    assert!(
        temperature > 0.0,
        "distillation_loss: a temperature of {temperature}; give one above 0"
    );
    let student = (student.wide() / temperature).log_softmax(-1);
    let teacher = (teacher.detach().wide() / temperature).log_softmax(-1);
    let divergence = (teacher.exp() * (&teacher - student)).sum(-1);
    divergence.mean(..) * (temperature * temperature)
}

/// The mean of `(student - teacher)^2` of hidden states of equal shapes -> a scalar. [`HiddenStates`] projects those
/// of other sizes first.
///
/// Romero et al., "FitNets: hints for thin deep nets", 2015.
///
/// # Panics
/// If shapes differ.
///
/// [`HiddenStates`]: super::HiddenStates
#[track_caller]
pub fn hidden_loss(student: &Tensor, teacher: &Tensor) -> Tensor {
    check("hidden_loss", student, teacher);
    (student.wide() - teacher.detach().wide()).square().mean(..)
}

/// The mean of squared differences of attention weights `[B, H, T, S]`, which are averaged over their heads if the
/// numbers of heads differ -> a scalar.
///
/// Jiao et al., "TinyBERT: distilling BERT for natural language understanding", 2020.
///
/// # Panics
/// If they have no four axes, or differ in another than that of heads.
#[track_caller]
pub fn attention_loss(student: &Tensor, teacher: &Tensor) -> Tensor {
    let (own, given) = (student.shape(), teacher.shape());
    let four = own.rank() == 4 && given.rank() == 4;
    assert!(
        four && [0, 2, 3].iter().all(|&axis| own[axis] == given[axis]),
        "attention_loss: needs [B, H, T, S] twice, got {own} of the student and {given} of the teacher"
    );
    let teacher = teacher.detach();
    if own[1] == given[1] {
        return hidden_loss(student, &teacher);
    }
    hidden_loss(&student.wide().mean(1), &teacher.wide().mean(1))
}

/// The mean of squared differences of where features `[N, C, ..]` are large: of each sample the mean of squares over
/// channels, at norm one. Channels may differ -> a scalar.
///
/// Zagoruyko, Komodakis, "Paying more attention to attention", 2017.
///
/// # Panics
/// If an axis but that of channels differs.
#[track_caller]
pub fn attention_transfer_loss(student: &Tensor, teacher: &Tensor) -> Tensor {
    let map = |features: &Tensor| {
        let energy = features.wide().square().mean(1);
        energy.reshape([energy.size(0), energy.count() / energy.size(0).max(1)]).normalize(1, 1e-12)
    };
    let (own, given) = (student.shape(), teacher.shape());
    let fits = own.rank() == given.rank()
        && own.rank() > 2
        && (0..own.rank()).all(|axis| axis == 1 || own[axis] == given[axis]);
    assert!(fits, "attention_transfer_loss: needs [N, C, ..] of one size, got {own} and {given}");
    (map(student) - map(&teacher.detach())).square().mean(..)
}

/// `1 - cosine` of embeddings `[.., E]`, the mean over all rows -> a scalar. Sanh et al., "DistilBERT", 2019.
///
/// # Panics
/// If shapes differ.
#[track_caller]
pub fn cosine_loss(student: &Tensor, teacher: &Tensor) -> Tensor {
    check("cosine_loss", student, teacher);
    let similarity = student.wide().cosine_similarity(&teacher.detach().wide(), -1);
    (similarity.neg() + 1.0).mean(..)
}

/// Huber loss of the distances between all pairs of a batch's embeddings `[N, E]`, each side's in parts of their mean,
/// and twice that of the angles of all triples: embeddings of other sizes than the teacher's can be learnt -> a scalar.
/// Memory is `N^3`.
///
/// Park et al., "Relational knowledge distillation", 2019, with its weights of 1 and 2.
///
/// # Panics
/// If they are not `[N, E]` of equally many samples, or fewer than two.
#[track_caller]
pub fn relational_loss(student: &Tensor, teacher: &Tensor) -> Tensor {
    let (own, given) = (student.shape(), teacher.shape());
    assert!(
        own.rank() == 2 && given.rank() == 2 && own[0] == given[0] && own[0] > 1,
        "relational_loss: needs [N, E] of equally many samples, at least 2, got {own} and {given}"
    );
    let (student, teacher) = (student.wide(), teacher.detach().wide());
    let distances = distances(&student).huber_loss(&distances(&teacher), 1.0);
    distances + angles(&student).huber_loss(&angles(&teacher), 1.0) * 2.0
}

/// Distances of all pairs over their mean.
fn distances(x: &Tensor) -> Tensor {
    let squares = (x.unsqueeze(1) - x.unsqueeze(0)).square().sum(-1);
    // A root has no slope at zero, where a sample meets itself.
    let apart = squares.gt(1e-12);
    let distances = apart.select(apart.select(&squares, 1.0).sqrt(), 0.0);
    let count = apart.cast(distances.dtype()).sum(..);
    let mean = distances.sum(..) / count.maximum(1.0);
    &distances / (mean + 1e-12)
}

/// Cosines of the angles at the second of all triples.
fn angles(x: &Tensor) -> Tensor {
    let differences = x.unsqueeze(0) - x.unsqueeze(1);
    let directions = differences.normalize(-1, 1e-12);
    directions.matmul(&directions.transpose(1, 2))
}

#[track_caller]
fn check(name: &str, student: &Tensor, teacher: &Tensor) {
    let (own, given) = (student.shape(), teacher.shape());
    assert!(own == given, "{name}: {own} of the student and {given} of the teacher");
    assert!(
        student.device() == teacher.device(),
        "{name}: the student is on {}, the teacher on {}; Teacher brings outputs over",
        student.device().name(),
        teacher.device().name()
    );
}
