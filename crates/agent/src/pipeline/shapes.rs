//! What a connection asks again and again. Most requests of a connection are like one of its last few: their series is
//! known without a look-up by three texts for each side.

use super::aggregate::EdgeRef;
use limpid_model::{Kind, Request, Status, Text};

/// Shapes that a connection remembers.
const SHAPES: usize = 4;

struct Shape {
    kind: Kind,
    status: Status,
    operation: Text,
    resource: Option<Text>,
    code: Option<Text>,
    /// The series of each end, and the edge for which it is valid.
    series: [Option<(EdgeRef, u32)>; 2],
}

impl Shape {
    fn new(request: &Request) -> Self {
        Shape {
            kind: request.kind,
            status: request.status,
            operation: request.operation.clone(),
            resource: request.resource.clone(),
            code: request.code.clone(),
            series: [None; 2],
        }
    }

    fn is(&self, request: &Request) -> bool {
        self.status == request.status
            && self.kind == request.kind
            && self.operation == request.operation
            && self.code == request.code
            && self.resource == request.resource
    }
}

/// The last shapes of one connection; the oldest is replaced.
#[derive(Default)]
pub(super) struct Shapes {
    known: Vec<Shape>,
    oldest: usize,
}

impl Shapes {
    /// The number of the request's shape, valid until the next call.
    pub fn of(&mut self, request: &Request) -> usize {
        if let Some(at) = self.known.iter().position(|shape| shape.is(request)) {
            return at;
        }
        if self.known.len() < SHAPES {
            self.known.push(Shape::new(request));
            return self.known.len() - 1;
        }
        let at = self.oldest % SHAPES;
        self.oldest = at + 1;
        self.known[at] = Shape::new(request);
        at
    }

    /// The series of a shape at one end, looked up once for each edge.
    pub fn series(&mut self, shape: usize, end: usize, edge: EdgeRef, look_up: impl FnOnce() -> u32) -> u32 {
        let Some(place) = self.known.get_mut(shape).and_then(|shape| shape.series.get_mut(end)) else {
            return look_up();
        };
        match place {
            Some((known, series)) if *known == edge => *series,
            _ => place.insert((edge, look_up())).1,
        }
    }
}
