//! Elements narrower than a word: what lies beside them in a word stays what it was, wherever views begin
//! and rows end.

use gradloom::prelude::*;

use crate::gpus;

const DTYPES: [DType; 5] = [DType::F16, DType::BF16, DType::I8, DType::U8, DType::Bool];

/// Different small numbers, stored in a dtype.
fn stored(shape: &[usize], dtype: DType, seed: i32, device: &Device) -> Tensor {
    let count = shape.iter().product::<usize>() as i32;
    let values = (0..count).map(|index| (index * 7 + index / 3 + seed) % 101 + 1);
    let values =
        if dtype == DType::Bool { values.map(|v| v % 2).collect() } else { values.collect() };
    let values = Tensor::from_vec::<i32>(values, shape, device).unwrap().cast(dtype);
    values.eval().unwrap();
    values
}

/// The elements that `make` stores on a device, as numbers.
fn elements(make: &impl Fn(&Device) -> Tensor, device: &Device) -> Vec<f32> {
    let result = make(device);
    result.eval().unwrap();
    let downloaded = result.to_device(&Device::cpu());
    downloaded.cast(DType::F32).to_vec().unwrap()
}

#[track_caller]
fn agree(what: &str, make: impl Fn(&Device) -> Tensor) {
    let right = elements(&make, &Device::cpu());
    for device in gpus() {
        assert_eq!(elements(&make, &device), right, "{what}");
    }
}

#[test]
fn tensors_of_any_length_go_up_and_come_down() {
    for dtype in DTYPES {
        for length in (0..12).chain([255, 256, 257, 1023, 1025]) {
            agree(&format!("{length} of {dtype}"), |device| {
                let there = stored(&[length], dtype, 3, &Device::cpu()).to_device(device);
                there.to_device(&Device::cpu()).to_device(device)
            });
        }
    }
}

#[test]
fn views_begin_and_end_within_words() {
    for dtype in DTYPES {
        for (rows, columns) in [(1, 5), (3, 7), (5, 6), (4, 9), (7, 64), (33, 35)] {
            for start in 0..4 {
                agree(&format!("{rows} x {columns} of {dtype} from {start}"), |device| {
                    let x = stored(&[rows, columns], dtype, start, device);
                    let part = x.narrow(1, start as usize, columns - start as usize);
                    let turned = part.t().flip(0);
                    let padded = part.pad(&[(1, 0), (2, 1)]);
                    Tensor::concat(
                        &[&turned.reshape([part.count()]), &padded.reshape([padded.count()])],
                        0,
                    )
                });
            }
        }
    }
}

#[test]
fn rows_of_any_length_are_joined_picked_and_compared() {
    for dtype in DTYPES {
        for columns in [1, 2, 3, 4, 5, 7, 12, 130] {
            let at = |name: &str| format!("{name} of rows of {columns} of {dtype}");
            agree(&at("concat"), |device| {
                let [x, y] = [1, 2].map(|seed| stored(&[5, columns], dtype, seed, device));
                Tensor::concat(&[&x, &y, &x.narrow(1, 0, 1)], 1)
            });
            agree(&at("concat across"), |device| {
                let [x, y] = [1, 2].map(|seed| stored(&[3, columns], dtype, seed, device));
                Tensor::concat(&[&x, &y.narrow(0, 1, 1)], 0)
            });
            agree(&at("gather"), |device| {
                let x = stored(&[9, columns], dtype, 1, device);
                x.take(0, &Tensor::new([8i32, 0, 3, 3, 1], device).unwrap())
            });
            if dtype != DType::Bool {
                agree(&at("largest"), |device| stored(&[9, columns], dtype, 5, device).max(1));
            }
            agree(&at("comparison"), |device| {
                stored(&[3, columns], dtype, 5, device).eq(stored(&[3, 1], dtype, 6, device))
            });
        }
    }
}

#[test]
fn what_is_written_in_place_leaves_its_neighbours_alone() {
    for dtype in DTYPES {
        for (batch, size, inner) in [(1, 9, 3), (3, 7, 1), (2, 6, 2), (3, 5, 5), (2, 8, 4)] {
            agree(&format!("{batch} x {size} x {inner} of {dtype}"), |device| {
                let mut cache = stored(&[batch, size, inner], dtype, 1, device);
                for step in 0..size as i32 - 1 {
                    let update = stored(&[batch, 2, inner], dtype, 40 + step, device);
                    let starts = (0..batch as i32).map(|row| (step + row) % (size as i32 - 1));
                    let starts = Tensor::from_vec(starts.collect(), [batch], device).unwrap();
                    cache = cache.write(1, &starts, &update);
                    gradloom::commit(&mut cache).unwrap();
                }
                cache
            });
        }
    }
}
