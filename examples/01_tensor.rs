//! Tensors: make them, reshape them, compute with them, read the errors.
//!
//! `cargo run --example 01_tensor`

use ironlearn::tensor::Slice;
use ironlearn::{Error, Tensor};

fn main() -> Result<(), Error> {
    // From nested arrays; the element type is part of the type.
    let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    println!("x is {x:?}\n");

    // Shapes broadcast as in NumPy. What can fail gives a Result, the operators too.
    let row = Tensor::from([10.0, 20.0, 30.0]);
    let y = (&(&x * 2.0)? + &row)?;
    println!("2 x + row =\n{y}\n");
    assert_eq!(y, Tensor::from([[12.0, 24.0, 36.0], [18.0, 30.0, 42.0]]));

    // A mistake is a value that says what was asked, and what to do.
    let mistake = x.add(Tensor::from([1.0, 2.0])).err().map(|e| e.to_string()).unwrap_or_default();
    println!("{mistake}\n");
    assert!(mistake.contains("[2, 3] and [2]"));

    // Slices: an index, a range, a step; negative positions count from the end.
    let grid = Tensor::arange(0, 12, 1)?.reshape([3, -1])?;
    let corner = grid.slice((1.., -2..))?;
    let reversed = grid.slice((0, Slice::from(..).by(-1)))?;
    println!("grid =\n{grid}\ngrid[1:, -2:] =\n{corner}\ngrid[0, ::-1] = {reversed}\n");
    assert_eq!(reversed, Tensor::from([3, 2, 1, 0]));

    // Reductions name their axes; `_keep` leaves them with length 1, ready to broadcast back.
    let centred = (&x - x.mean_keep([1])?)?;
    println!("x minus the mean of each row =\n{centred}\n");
    assert!(centred.sum([1])?.allclose(&Tensor::zeros([2])?, 0.0, 1e-6)?);

    // Small integers are multiplied exactly: the sums are i32.
    let a = Tensor::from([[100i8, -100], [127, 127]]);
    let squares: Tensor<i32> = a.matmul(&a.transpose()?)?;
    println!("a · aᵀ =\n{squares}\n");
    assert_eq!(squares, Tensor::from([[20_000, 0], [0, 32_258]]));

    // A cast says what it does with values that do not fit; `try_cast` refuses them.
    let wide = Tensor::from([1.0, 300.0, f64::NAN]);
    println!("{wide} as i8: {}", wide.cast::<i8>());
    assert_eq!(wide.cast::<i8>(), Tensor::from([1, 127, 0]));
    if let Err(refusal) = wide.try_cast::<i8>() {
        println!("{refusal}\n");
    }

    // The same seed gives the same numbers, on every machine.
    let noise = Tensor::<f64>::normal([1000, 2], 0.0, 1.0, 7)?;
    println!("noise =\n{noise}\nits means {}, its deviations {}", noise.mean([0])?, noise.std([0], 0)?);
    assert!(noise.mean([0])?.abs().max_all()? < 0.1);

    // Sorting gives positions, and positions pick rows: those with the largest first column.
    let order = noise.slice((.., 0))?.argsort(0)?;
    let top = noise.gather(&order.slice(-3..)?, 0)?;
    println!("the three rows with the largest first column =\n{top}");
    assert_eq!(top.slice((-1, 0))?.item()?, noise.slice((.., 0))?.max_all()?);
    Ok(())
}
