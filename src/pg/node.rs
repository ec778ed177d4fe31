//! What the planner's expression trees say: constants, declared widths, calls; and the nodes that replace them.
//!
//! Objects are found from the request itself, never by the search path: the namespace is that of the function whose
//! call is looked at, so that an extension in any schema finds its own.

use super::datum::{Phash, PhashBall, Raw, Varlena};
use pgrx::pg_sys::{self, NodeTag, Oid};
use std::ffi::CStr;

/// An expression in a query.
#[derive(Clone, Copy)]
pub(crate) struct Expression(*mut pg_sys::Node);

/// The planner's state, handed through.
#[derive(Clone, Copy)]
pub(crate) struct Planner(pub(super) *mut pg_sys::PlannerInfo);

/// What a planner support function was asked.
pub(crate) enum Request {
    /// Is there a simpler form of this call?
    Simplify { planner: Planner, function: Oid, arguments: Vec<Expression> },
    /// What share of the rows, or pairs of rows, does it keep?
    Selectivity { planner: Planner, relation: i32, arguments: Vec<Expression> },
    /// Is there an operator of an index's family that finds the same rows? `key` is the argument that the index is on;
    /// the other arguments are all known before the index is read.
    IndexCondition { function: Oid, family: Oid, key: usize, arguments: Vec<Expression> },
    /// How many rows does it return?
    Rows { arguments: Vec<Expression> },
    /// Something that lumina has no answer to.
    Other,
}

impl Request {
    /// Reads the argument of a support function.
    pub(crate) fn read(request: Raw) -> Self {
        let node: *mut pg_sys::Node = request.pointer();
        // SAFETY: a support function is called by the planner alone (its argument is `internal`) with a node whose
        // tag says which struct it is.
        unsafe {
            match (*node).type_ {
                NodeTag::T_SupportRequestSimplify => {
                    let request: *mut pg_sys::SupportRequestSimplify = node.cast();
                    Self::Simplify {
                        planner: Planner((*request).root),
                        function: (*(*request).fcall).funcid,
                        arguments: expressions((*(*request).fcall).args),
                    }
                }
                NodeTag::T_SupportRequestSelectivity => {
                    let request: *mut pg_sys::SupportRequestSelectivity = node.cast();
                    Self::Selectivity {
                        planner: Planner((*request).root),
                        relation: (*request).varRelid,
                        arguments: expressions((*request).args),
                    }
                }
                NodeTag::T_SupportRequestIndexCondition => {
                    let request: *mut pg_sys::SupportRequestIndexCondition = node.cast();
                    let (root, index, key) = ((*request).root, (*request).index, (*request).indexarg as usize);
                    let arguments = Expression((*request).node).arguments();
                    let known = |argument: &Expression| pg_sys::is_pseudo_constant_for_index(root, argument.0, index);
                    if !arguments.iter().enumerate().all(|(at, argument)| at == key || known(argument)) {
                        return Self::Other;
                    }
                    Self::IndexCondition { function: (*request).funcid, family: (*request).opfamily, key, arguments }
                }
                NodeTag::T_SupportRequestRows => {
                    let call = Expression((*node.cast::<pg_sys::SupportRequestRows>()).node);
                    Self::Rows { arguments: call.arguments() }
                }
                _ => Self::Other,
            }
        }
    }

    /// "I have no answer."
    pub(crate) fn pass() -> Raw {
        Raw(pg_sys::Datum::null())
    }

    /// Answers [`Request::Simplify`].
    pub(crate) fn replace_by(expression: Expression) -> Raw {
        Raw(pg_sys::Datum::from(expression.0))
    }

    /// Answers [`Request::IndexCondition`] by a condition that finds exactly the same rows.
    pub(crate) fn index_condition(request: Raw, condition: Expression) -> Raw {
        // SAFETY: the caller has read `request` as a Request::IndexCondition; the answer is a list of conditions.
        unsafe {
            (*request.pointer::<pg_sys::SupportRequestIndexCondition>()).lossy = false;
            Raw(pg_sys::Datum::from(pg_sys::lappend(std::ptr::null_mut(), condition.0.cast())))
        }
    }

    /// Answers [`Request::Selectivity`].
    pub(crate) fn selectivity(request: Raw, share: f64) -> Raw {
        // SAFETY: the caller has read `request` as a Request::Selectivity.
        unsafe { (*request.pointer::<pg_sys::SupportRequestSelectivity>()).selectivity = share };
        request
    }

    /// Answers [`Request::Rows`].
    pub(crate) fn rows(request: Raw, rows: f64) -> Raw {
        // SAFETY: the caller has read `request` as a Request::Rows.
        unsafe { (*request.pointer::<pg_sys::SupportRequestRows>()).rows = rows };
        request
    }
}

/// The members of a list of expressions that an estimator was given.
pub(crate) fn list(arguments: Raw) -> Vec<Expression> {
    // SAFETY: the argument is declared `internal`, and the planner passes a List of expressions there.
    unsafe { expressions(arguments.pointer()) }
}

/// # Safety
/// `list` is a List of expressions, or null.
unsafe fn expressions(list: *mut pg_sys::List) -> Vec<Expression> {
    // SAFETY: as promised by the caller.
    unsafe { pgrx::PgList::<pg_sys::Node>::from_pg(list) }.iter_ptr().map(Expression).collect()
}

impl Planner {
    /// The planner's state as an estimator is given it.
    pub(crate) fn of(argument: Raw) -> Self {
        Planner(argument.pointer())
    }

    /// Whether a query is being planned as it was written.
    ///
    /// Index predicates and constraints are simplified without one: to refuse them could make a table unusable. A branch
    /// of a union gets conditions that were written for the whole.
    pub(crate) fn may_refuse(self) -> bool {
        if self.0.is_null() {
            return false;
        }
        // SAFETY: the planner's state of a query has its parse tree, and the state of the query around it or null.
        unsafe {
            let outer = (*self.0).parent_root;
            outer.is_null() || (*(*outer).parse).setOperations.is_null()
        }
    }
}

impl Expression {
    pub(super) fn pointer(self) -> *mut pg_sys::Node {
        self.0
    }

    fn is(self, tag: NodeTag) -> bool {
        // SAFETY: an expression is a node; every node begins with its tag.
        !self.0.is_null() && unsafe { (*self.0).type_ } == tag
    }

    /// Its value, if it is a constant and not NULL.
    pub(crate) fn constant(self) -> Option<pg_sys::Datum> {
        if !self.is(NodeTag::T_Const) {
            return None;
        }
        let constant: *mut pg_sys::Const = self.0.cast();
        // SAFETY: the tag says that it is a Const.
        unsafe { (!(*constant).constisnull).then(|| (*constant).constvalue) }
    }

    /// Its value as an `int4` constant.
    pub(crate) fn constant_int(self) -> Option<i32> {
        self.constant().map(|datum| datum.value() as i32)
    }

    /// Its value as a constant of type `phash`, which the caller knows it to be of.
    pub(crate) fn constant_hash(&self) -> Option<Phash<'_>> {
        // SAFETY: an argument declared as `phash` is one; a constant lives as long as its node.
        self.constant().map(|datum| unsafe { Phash::read(datum) })
    }

    /// Its value as a constant of type `phash_ball`, which the caller knows it to be of.
    pub(crate) fn constant_ball(&self) -> Option<PhashBall<'_>> {
        // SAFETY: an argument declared as `phash_ball` is one; a constant lives as long as its node.
        self.constant().map(|datum| unsafe { PhashBall::read(datum) })
    }

    /// The arguments, if it is a function call.
    pub(crate) fn arguments(self) -> Vec<Expression> {
        if !self.is(NodeTag::T_FuncExpr) {
            return Vec::new();
        }
        // SAFETY: the tag says that it is a FuncExpr.
        unsafe { expressions((*self.0.cast::<pg_sys::FuncExpr>()).args) }
    }

    /// The width in bits that `expression` has for everyone who reads this query, if it may be refused for that.
    ///
    /// Not in the branches of a union: there the planner looks at a condition on the whole once more for each branch,
    /// and another branch may be the one that it is about.
    pub(crate) fn column_bits(self, planner: Planner) -> Option<usize> {
        if !planner.may_refuse() {
            return None;
        }
        if self.is(NodeTag::T_Var) {
            // SAFETY: the tag says that it is a Var; the array has an entry for every relation of the query, and is
            // null as long as no relation is a branch.
            unsafe {
                let relation = (*self.0.cast::<pg_sys::Var>()).varno as usize;
                let branches = (*planner.0).append_rel_array;
                let known = (1..(*planner.0).simple_rel_array_size as usize).contains(&relation);
                if !branches.is_null() && known && !(*branches.add(relation)).is_null() {
                    return None;
                }
            }
        }
        self.declared_bits()
    }

    /// The width in bits that a `phash` expression is declared with, through domains and relabellings.
    pub(crate) fn declared_bits(self) -> Option<usize> {
        let mut node = self.0;
        // SAFETY: an expression is a node; the tag says which struct a RelabelType is. exprTypmod and
        // getBaseTypeAndTypmod read expressions of any kind and the catalog.
        let modifier = unsafe {
            let mut modifier = pg_sys::exprTypmod(node);
            while modifier < 0 && (*node).type_ == NodeTag::T_RelabelType {
                node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
                modifier = pg_sys::exprTypmod(node);
            }
            if modifier < 0 {
                pg_sys::getBaseTypeAndTypmod(pg_sys::exprType(node), &raw mut modifier);
            }
            modifier
        };
        usize::try_from(modifier).ok()
    }
}

/// The objects of the extension around a function of its own.
pub(crate) struct Objects {
    namespace: Oid,
    hash: Oid,
    ball: Oid,
    in_ball: Oid,
}

impl Objects {
    /// Those beside `function`; `None` where something is missing.
    pub(crate) fn beside(function: Oid) -> Option<Self> {
        use pg_sys::SysCacheIdentifier::{OPERNAMENSP, TYPENAMENSP};
        // SAFETY: catalog look-ups by name and namespace with the keys of each cache.
        unsafe {
            let namespace = pg_sys::get_func_namespace(function);
            let typed =
                |name| find(TYPENAMENSP, pg_sys::Anum_pg_type_oid, [name, namespace.into(), 0.into(), 0.into()]);
            let (hash, ball) = (typed(name(c"phash"))?, typed(name(c"phash_ball"))?);
            let keys = [name(c"<@"), hash.into(), ball.into(), namespace.into()];
            let in_ball = find(OPERNAMENSP, pg_sys::Anum_pg_operator_oid, keys)?;
            Some(Objects { namespace, hash, ball, in_ball })
        }
    }

    /// Whether `<@` is an operator of an index's family.
    pub(crate) fn family_has_in_ball(&self, family: Oid) -> bool {
        // SAFETY: a catalog look-up.
        unsafe { pg_sys::op_in_opfamily(self.in_ball, family) }
    }

    /// A constant of type `phash_ball`, from its binary form.
    pub(crate) fn ball(&self, ball: Varlena) -> Expression {
        // SAFETY: the maker of a node; the datum lives in the planner's memory, as the node does.
        Expression(unsafe {
            pg_sys::makeConst(self.ball, -1, Oid::INVALID, -1, ball.into_datum(), false, false).cast()
        })
    }

    /// The call `phash_search_ball(center, radius)`.
    pub(crate) fn search_ball(&self, center: Expression, radius: Expression) -> Option<Expression> {
        use pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        let types = [self.hash, pg_sys::INT4OID];
        // SAFETY: a look-up by a qualified name, which no search path has a say in, and the maker of a node.
        unsafe {
            let mut path = std::ptr::null_mut();
            for part in [pg_sys::get_namespace_name(self.namespace), pg_sys::pstrdup(c"phash_search_ball".as_ptr())] {
                path = pg_sys::lappend(path, pg_sys::makeString(part).cast());
            }
            let function = pg_sys::LookupFuncName(path, 2, types.as_ptr(), true);
            if function == Oid::INVALID {
                return None;
            }
            let mut arguments = std::ptr::null_mut();
            for argument in [center, radius] {
                arguments = pg_sys::lappend(arguments, argument.0.cast());
            }
            let (none, explicit) = (Oid::INVALID, COERCE_EXPLICIT_CALL);
            Some(Expression(pg_sys::makeFuncExpr(function, self.ball, arguments, none, none, explicit).cast()))
        }
    }

    /// The expression `hash <@ ball`.
    pub(crate) fn in_ball(&self, hash: Expression, ball: Expression) -> Expression {
        let none = Oid::INVALID;
        // SAFETY: the maker of a node, and the look-up of its function.
        unsafe {
            let (hash, ball) = (hash.0.cast(), ball.0.cast());
            let clause = pg_sys::make_opclause(self.in_ball, pg_sys::BOOLOID, false, hash, ball, none, none);
            pg_sys::set_opfuncid(clause.cast());
            Expression(clause.cast())
        }
    }
}

fn name(name: &'static CStr) -> pg_sys::Datum {
    pg_sys::Datum::from(name.as_ptr())
}

/// # Safety
/// The keys are those of the cache.
unsafe fn find(cache: pg_sys::SysCacheIdentifier::Type, oid: u32, keys: [pg_sys::Datum; 4]) -> Option<Oid> {
    let [a, b, c, d] = keys;
    // SAFETY: as promised by the caller.
    let found = unsafe { pg_sys::GetSysCacheOid(cache as i32, oid as pg_sys::AttrNumber, a, b, c, d) };
    (found != Oid::INVALID).then_some(found)
}
