//! How long a round of WGAN-GP takes, the same as `wgan_gp_speed.py` beside it takes with PyTorch. Run by hand, one after
//! the other:
//!
//!     RAYON_NUM_THREADS=1 cargo test --release -p gradloom-vision --test wgan_gp_speed -- --ignored --nocapture
//!     python crates/gradloom-vision/tests/wgan_gp_speed.py 1

use std::time::Instant;

use gradloom_nn::{Adam, Context, Init, Optimizer, gradients};
use gradloom_tensor::{Key, Tensor, commit};
use gradloom_vision::generative::*;

/// Rounds that are timed at once, and how often.
const ROUNDS: usize = 10;
const REPEATS: usize = 5;

struct Players {
    generator: DcganGenerator,
    critic: DcganDiscriminator,
    generators: Adam,
    critics: Adam,
    real: Tensor,
}

impl Players {
    fn new() -> Players {
        let device = gradloom_cpu::device();
        let init = &mut Init::new(Key::new(0), &device);
        let norm = DiscriminatorNorm::Sample;
        let config = DiscriminatorConfig { norm, ..DiscriminatorConfig::new(1, 28) };
        let adam = || Adam::new(1e-4).betas([0.0, 0.9]);
        let mut players = Players {
            generator: DcganGenerator::new(&DcganConfig::new(1, 28), init).unwrap(),
            critic: DcganDiscriminator::new(&config, init).unwrap(),
            generators: adam(),
            critics: adam(),
            real: Tensor::uniform(Key::new(1), [64, 1, 28, 28], -1.0, 1.0, &device),
        };
        commit((&mut players.generator, &mut players.critic, &mut players.real)).unwrap();
        players
    }

    fn critic_round(&mut self, ctx: &mut Context) {
        let z = self.generator.noise(64, ctx.key(), self.real.device());
        let made = self.generator.forward(&z, None, &mut Context::train(ctx.key())).detach();
        let key = ctx.key();
        let score = |x: &Tensor| self.critic.forward(x, None, ctx);
        let mut loss = WganGp::default().critic(score, &self.real, &made, key).total;
        self.critics.step(&gradients(&loss, &self.critic), &mut self.critic);
        commit((&mut self.critic, &mut self.critics, &mut loss)).unwrap();
        assert!(loss.item().unwrap().is_finite());
    }

    fn generator_round(&mut self, ctx: &mut Context) {
        let z = self.generator.noise(64, ctx.key(), self.real.device());
        let made = self.generator.forward(&z, None, ctx);
        let scores = self.critic.forward(&made, None, &mut Context::train(ctx.key()));
        let mut loss = WganGp::default().generator(&scores);
        self.generators.step(&gradients(&loss, &self.generator), &mut self.generator);
        ctx.apply_updates(&mut self.generator);
        commit((&mut self.generator, &mut self.generators, &mut loss)).unwrap();
        assert!(loss.item().unwrap().is_finite());
    }
}

#[test]
#[ignore = "measures; see above"]
fn rounds_of_a_critic_with_a_penalty_and_of_a_generator() {
    let mut players = Players::new();
    let ctx = &mut Context::train(Key::new(2));
    let rounds: [(&str, fn(&mut Players, &mut Context)); 2] =
        [("critic", Players::critic_round), ("generator", Players::generator_round)];
    let mut times = [Vec::new(), Vec::new()];
    for repeat in 0..=REPEATS {
        for ((_, round), times) in rounds.iter().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                round(&mut players, ctx);
            }
            if repeat > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3 / ROUNDS as f64);
            }
        }
    }
    for ((name, _), mut times) in rounds.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.1} ms a step, {times:.1?}", times[times.len() / 2]);
    }
}
